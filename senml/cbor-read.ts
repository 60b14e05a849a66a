import { encodeBase64url } from './base64url.ts'
import { CborTokens, type CborKind } from './cbor-codec.ts'
import { readValue } from './cbor-value.ts'
import { SenmlError } from './errors.ts'
import { labelOfNumber } from './labels.ts'
import type { ParseOptions } from './options.ts'
import { setField } from './own.ts'
import type { SenmlRecord } from './record.ts'
import { checkCount } from './validate.ts'

/** Says "this is CBOR" and nothing else (RFC 8949 section 3.4.6). */
const TAG_SELF_DESCRIBED = 55799

/**
 * Reads the array of maps that a pack is in CBOR (RFC 8428 section 6), its labels as JSON writes them. What the
 * fields hold is not checked against table 1 yet.
 *
 * - An array without a length is taken too: it is what a stream (section 4.8) leaves behind.
 * - Integers and bignums (tags 2, 3) and decimal fractions (tag 4) become the nearest double.
 * - Fields of extensions keep arrays, maps and byte strings; a tag of theirs is dropped and what it marks is kept.
 *   An integer label that table 4 does not have becomes text: 9 becomes `9`.
 *
 * @throws {SenmlError} `invalid_cbor`, `not_a_pack`, `empty_pack`, `too_many_records`, `invalid_record`, `wrong_type`,
 *   `not_finite`, `duplicate_field`, `too_deep`
 */
export function readCborPack(input: Uint8Array, options: ParseOptions): SenmlRecord[] {
  const tokens = new CborTokens(input)
  try {
    const records = readArray(tokens, options)
    if (!tokens.isAtEnd) throw new SenmlError('invalid_cbor', 'bytes follow the pack')
    return records
  } catch (error) {
    throw asSenmlError(error, tokens)
  }
}

/** Reads one record from bytes that hold nothing else: an item of a stream. */
export function readCborRecord(input: Uint8Array, index: number): SenmlRecord {
  const tokens = new CborTokens(input)
  try {
    const record = readRecord(tokens, tokens.next(), index)
    if (!tokens.isAtEnd) throw new SenmlError('invalid_cbor', 'bytes follow the record', { index })
    return record
  } catch (error) {
    throw asSenmlError(error, tokens)
  }
}

/** What the codec throws is about the bytes. */
function asSenmlError(error: unknown, tokens: CborTokens): SenmlError {
  if (error instanceof SenmlError) return error
  const what = tokens.isAtEnd ? 'the bytes end too early' : 'the bytes are not well-formed CBOR'
  return new SenmlError('invalid_cbor', what, { cause: error })
}

function readArray(tokens: CborTokens, options: ParseOptions): SenmlRecord[] {
  let kind = tokens.next()
  while (kind === 'tag' && tokens.value === TAG_SELF_DESCRIBED) kind = tokens.next()
  if (kind !== 'array') throw new SenmlError('not_a_pack', 'the pack is not an array')
  const length = tokens.value as number
  if (length !== Infinity) checkCount(length, options)
  const records: SenmlRecord[] = []
  while (records.length < length) {
    const kind = tokens.next()
    if (kind === 'break' && length === Infinity) break
    checkCount(records.length + 1, options)
    records.push(readRecord(tokens, kind, records.length))
  }
  checkCount(records.length, options)
  return records
}

function readRecord(tokens: CborTokens, kind: CborKind, index: number): SenmlRecord {
  if (kind !== 'map') throw new SenmlError('invalid_record', 'is not a map', { index })
  const length = tokens.value as number
  const record: SenmlRecord = {}
  for (let i = 0; i < length; i++) {
    const kind = tokens.next()
    if (kind === 'break' && length === Infinity) break
    const label = readLabel(kind, tokens.value, index)
    if (!addField(record, label, readField(tokens, label, index))) {
      throw new SenmlError('duplicate_field', 'stands in the record twice', { index, field: label })
    }
  }
  return record
}

/**
 * Adds a field unless it is there already, and says whether it did. Under a literal name that takes a fraction of the
 * time it takes under a computed one, so the fields that most records have are spelled out.
 */
function addField(record: SenmlRecord, label: string, value: unknown): boolean {
  switch (label) {
    case 'n':
      if (record.n !== undefined) return false
      record.n = value as string
      return true
    case 'u':
      if (record.u !== undefined) return false
      record.u = value as string
      return true
    case 'v':
      if (record.v !== undefined) return false
      record.v = value as number
      return true
    case 't':
      if (record.t !== undefined) return false
      record.t = value as number
      return true
    default:
      if (Object.hasOwn(record, label)) return false
      setField(record, label, value)
      return true
  }
}

function readLabel(kind: CborKind, value: unknown, index: number): string {
  if (kind === 'string') return value as string
  if (kind !== 'uint' && kind !== 'negint') {
    throw new SenmlError('invalid_record', 'has a label that is neither text nor an integer', { index })
  }
  return (typeof value === 'number' ? labelOfNumber(value) : undefined) ?? String(value)
}

function readField(tokens: CborTokens, label: string, index: number): unknown {
  const kind = tokens.next()
  if (label === 'vd') {
    if (kind !== 'bytes') throw new SenmlError('wrong_type', 'is not a byte string', { index, field: label })
    return encodeBase64url(tokens.value as Uint8Array)
  }
  // Section 6: for the version number, only an unsigned integer is allowed.
  if (label === 'bver' && kind !== 'uint') {
    throw new SenmlError('wrong_type', 'is not an unsigned integer', { index, field: label })
  }
  // Nearly every field is one of these, and takes no context object.
  if (kind === 'string' || kind === 'float') return tokens.value
  if (kind === 'uint' || kind === 'negint') return Number(tokens.value)
  return readValue(tokens, kind, { index, field: label })
}
