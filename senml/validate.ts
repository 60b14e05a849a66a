import { SenmlError } from './errors.ts'
import { checkField, Role } from './fields.ts'
import { NameChecker } from './names.ts'
import { DEFAULT_MAX_RECORDS, type ParseOptions } from './options.ts'
import { DEFAULT_VERSION, type SenmlRecord } from './record.ts'

/** What records in front mean for those behind. One for each pack or stream. */
export class PackChecker {
  readonly #maxVersion: number
  readonly #understood: ReadonlySet<string> | undefined
  readonly #names = new NameChecker()
  #version: number | undefined

  constructor(options: ParseOptions = {}) {
    this.#maxVersion = options.maxVersion ?? DEFAULT_VERSION
    this.#understood = options.understood
  }

  /**
   * Checks the next record, in the light of those before it (RFC 8428 section 4).
   *
   * @param index its position in the pack, for the error
   * @throws {SenmlError} what is wrong first
   */
  check(record: SenmlRecord, index: number): void {
    let roles = 0
    let values = 0
    for (const label in record) {
      const value = record[label]
      // A caller's `{ v: undefined }` is a record without v, as JSON.stringify has it too.
      if (value === undefined) continue
      const role = checkField(label, value, index)
      roles |= role
      if (role === Role.value && ++values > 1) {
        throw new SenmlError('several_values', 'is a second value', { index, field: label })
      }
      if (role === Role.unknown && label.endsWith('_') && this.#understood?.has(label) !== true) {
        throw new SenmlError('must_understand', 'must be understood, and is not', { index, field: label })
      }
    }
    this.#checkVersion(record, index)
    if (record.bn !== undefined) this.#names.setBase(record.bn)
    if ((roles & (Role.value | Role.sum)) !== 0) this.#names.check(record.n ?? '', index)
    // Section 5.1.7 opens a pack with a record that has a base name alone: it measures nothing and is legal.
    else if ((roles & Role.base) === 0 || (roles & Role.regular) !== 0) {
      throw new SenmlError('missing_value', 'has neither a value nor a sum', { index })
    }
  }

  /** Section 4.4: one version in all records, and none above what is understood. */
  #checkVersion(record: SenmlRecord, index: number): void {
    const version = record.bver ?? this.#version ?? DEFAULT_VERSION
    if (version === this.#version) return
    const context = { index, field: 'bver' }
    if (this.#version !== undefined) {
      throw new SenmlError('mixed_versions', `${version} behind a record with ${this.#version}`, context)
    }
    if (version > this.#maxVersion) {
      throw new SenmlError('unsupported_version', `${version} is above ${this.#maxVersion}`, context)
    }
    this.#version = version
  }
}

/** Whether a value is what a JSON object becomes, so that it can be a record. */
export function isRecordLike(value: unknown): value is SenmlRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Counts the records of a pack: at least one (RFC 8428 section 3), at most what the options allow. */
export function checkCount(count: number, options: ParseOptions): void {
  const limit = options.maxRecords ?? DEFAULT_MAX_RECORDS
  if (count === 0) throw new SenmlError('empty_pack', 'the pack has no records')
  if (count > limit) throw new SenmlError('too_many_records', `more than ${limit} records`)
}

/** The array that a pack is, its items being objects; what they hold is not looked at. */
export function toRecords(value: unknown, options: ParseOptions): SenmlRecord[] {
  if (!Array.isArray(value)) throw new SenmlError('not_a_pack', 'the pack is not an array')
  checkCount(value.length, options)
  for (let index = 0; index < value.length; index++) {
    if (!isRecordLike(value[index])) throw new SenmlError('invalid_record', 'is not an object', { index })
  }
  return value as SenmlRecord[]
}

/** Checks each record in turn, and returns them all. */
export function checkRecords(records: SenmlRecord[], options: ParseOptions): SenmlRecord[] {
  const checker = new PackChecker(options)
  for (let index = 0; index < records.length; index++) checker.check(records[index] as SenmlRecord, index)
  return records
}

/**
 * Checks a pack that a program made; what the parsers return is checked already.
 *
 * @throws {SenmlError} what is wrong first, with the record and the field
 */
export function validate(records: readonly SenmlRecord[], options: ParseOptions = {}): void {
  checkRecords(toRecords(records, options), options)
}
