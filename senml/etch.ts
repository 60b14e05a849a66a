import { SenmlError } from './errors.ts'
import { checkField, Role } from './fields.ts'
import { NameChecker } from './names.ts'
import type { ParseOptions } from './options.ts'
import type { RecordFields } from './record.ts'
import { toRecords } from './validate.ts'

/** Says which records to fetch: those of the name and, where given, of the time and the unit (RFC 8790 section 3.1). */
export interface FetchRecord {
  bn?: string
  bt?: number
  bu?: string
  n?: string
  u?: string
  t?: number
}

/** A record to put in the place of another, to add, or with `v: null` to remove (RFC 8790 section 3.2). */
export interface PatchRecord extends RecordFields {
  v?: number | null
}

const FETCH_LABELS: ReadonlySet<string> = new Set(['bn', 'bt', 'bu', 'n', 'u', 't'])

/**
 * Checks a Fetch Pack that a JSON parser has read, or a program made.
 *
 * @returns the same objects
 * @throws {SenmlError} `forbidden_field` for a field that selects nothing, `empty_name`, `invalid_name` and what else
 *   is wrong with a pack or a field
 */
export function fetchPackOf(value: unknown, options: ParseOptions = {}): FetchRecord[] {
  const records = toRecords(value, options)
  const names = new NameChecker()
  records.forEach((record, index) => {
    for (const label in record) {
      if (record[label] === undefined) continue
      if (!FETCH_LABELS.has(label)) {
        throw new SenmlError('forbidden_field', 'has no place in a Fetch Record', { index, field: label })
      }
      checkField(label, record[label], index)
    }
    // A base name from further up is no name of this record: it "MUST contain a name and/or base name field".
    if (record.bn === undefined && record.n === undefined) {
      throw new SenmlError('empty_name', 'has neither a name nor a base name', { index, field: 'n' })
    }
    if (record.bn !== undefined) names.setBase(record.bn)
    names.check(record.n ?? '', index)
  })
  return records
}

/**
 * Checks a Patch Pack that a JSON parser has read, or a program made. Fields that must be understood need not be
 * here: they are written like any other (RFC 8790 section 5).
 *
 * @returns the same objects
 * @throws {SenmlError} `missing_value` for a record with neither a value nor a sum, and what else is wrong with a pack
 *   or a field
 */
export function patchPackOf(value: unknown, options: ParseOptions = {}): PatchRecord[] {
  const records: PatchRecord[] = toRecords(value, options)
  const names = new NameChecker()
  records.forEach((record, index) => {
    checkPatchFields(record, index)
    if (record.bn !== undefined) names.setBase(record.bn)
    names.check(record.n ?? '', index)
  })
  return records
}

function checkPatchFields(record: PatchRecord, index: number): void {
  let values = 0
  let hasSum = false
  for (const label in record) {
    const value = record[label]
    if (value === undefined) continue
    const role = label === 'v' && value === null ? Role.value : checkField(label, value, index)
    if (role === Role.sum) hasSum = true
    if (role === Role.value && ++values > 1) {
      throw new SenmlError('several_values', 'is a second value', { index, field: label })
    }
  }
  if (values === 0 && !hasSum) {
    throw new SenmlError('missing_value', 'has neither a value nor a sum', { index })
  }
}
