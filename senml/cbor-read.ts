import { encodeBase64url } from './base64url.ts'
import { CborTokens, type CborKind } from './cbor-codec.ts'
import {
  bignum,
  decimalFraction,
  TAG_BIGNUM,
  TAG_DECIMAL_FRACTION,
  TAG_NEGATIVE_BIGNUM,
} from './cbor-number.ts'
import { MAX_DEPTH, SenmlError, type SenmlErrorContext } from './errors.ts'
import { labelOfNumber } from './labels.ts'
import { setField } from './own.ts'
import type { ParseOptions } from './options.ts'
import type { SenmlRecord } from './record.ts'
import { checkCount } from './validate.ts'

/** Says "this is CBOR" and nothing else (RFC 8949 section 3.4.6). */
export const TAG_SELF_DESCRIBED = 55799

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
  return wellFormed(tokens, () => {
    let kind = tokens.next()
    while (kind === 'tag' && tokens.value === TAG_SELF_DESCRIBED) kind = tokens.next()
    if (kind !== 'array') throw new SenmlError('not_a_pack', 'the pack is not an array')
    const length = Number(tokens.value)
    if (length !== Infinity) checkCount(length, options)
    const records: SenmlRecord[] = []
    while (records.length < length) {
      const kind = tokens.next()
      if (kind === 'break' && length === Infinity) break
      checkCount(records.length + 1, options)
      records.push(readRecord(tokens, kind, records.length))
    }
    checkCount(records.length, options)
    if (!tokens.isAtEnd) throw new SenmlError('invalid_cbor', 'bytes follow the pack')
    return records
  })
}

/** Reads one record from bytes that hold nothing else: an item of a stream. */
export function readCborRecord(input: Uint8Array, index: number): SenmlRecord {
  const tokens = new CborTokens(input)
  return wellFormed(tokens, () => {
    const record = readRecord(tokens, tokens.next(), index)
    if (!tokens.isAtEnd) throw new SenmlError('invalid_cbor', 'bytes follow the record', { index })
    return record
  })
}

/** What the codec throws is about the bytes. */
function wellFormed<T>(tokens: CborTokens, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof SenmlError) throw error
    const what = tokens.isAtEnd ? 'the bytes end before the pack does' : 'the bytes are not well-formed CBOR'
    throw new SenmlError('invalid_cbor', what, { cause: error })
  }
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
    if (kind !== 'bytes') throw wrongType('is not a byte string', { index, field: label })
    return encodeBase64url(tokens.value as Uint8Array)
  }
  // Section 6: for the version number, only an unsigned integer is allowed.
  if (label === 'bver' && kind !== 'uint')
    throw wrongType('is not an unsigned integer', { index, field: label })
  // Nearly every field is one of these, and takes no context object.
  if (kind === 'string' || kind === 'float') return tokens.value
  if (kind === 'uint' || kind === 'negint') return Number(tokens.value)
  return readValue(tokens, kind, MAX_DEPTH, { index, field: label })
}

/** Reads any value, the token given being its first. */
function readValue(tokens: CborTokens, kind: CborKind, levels: number, context: SenmlErrorContext): unknown {
  if (kind === 'uint' || kind === 'negint') return Number(tokens.value)
  if (kind === 'undefined') return null
  if (kind === 'break') {
    throw new SenmlError('invalid_cbor', 'a break stands where a value should', context)
  }
  if (kind !== 'array' && kind !== 'map' && kind !== 'tag') return tokens.value
  if (levels === 0) throw new SenmlError('too_deep', `nests deeper than ${MAX_DEPTH} levels`, context)
  if (kind === 'tag') return readTagged(tokens, tokens.value as number, levels - 1, context)
  return kind === 'array' ? readArray(tokens, levels - 1, context) : readMap(tokens, levels - 1, context)
}

function readArray(tokens: CborTokens, levels: number, context: SenmlErrorContext): unknown[] {
  const length = tokens.value as number
  const items: unknown[] = []
  for (let i = 0; i < length; i++) {
    const kind = tokens.next()
    if (kind === 'break' && length === Infinity) break
    items.push(readValue(tokens, kind, levels, context))
  }
  return items
}

function readMap(tokens: CborTokens, levels: number, context: SenmlErrorContext): Record<string, unknown> {
  const length = tokens.value as number
  const object: Record<string, unknown> = {}
  for (let i = 0; i < length; i++) {
    const kind = tokens.next()
    if (kind === 'break' && length === Infinity) break
    if (kind !== 'string' && kind !== 'uint' && kind !== 'negint') {
      throw wrongType('holds a map with a key that is neither text nor an integer', context)
    }
    const key = String(tokens.value)
    setField(object, key, readValue(tokens, tokens.next(), levels, context))
  }
  return object
}

function readTagged(tokens: CborTokens, tag: number, levels: number, context: SenmlErrorContext): unknown {
  const kind = tokens.next()
  switch (tag) {
    case TAG_BIGNUM:
    case TAG_NEGATIVE_BIGNUM:
      return Number(readBignum(tokens, kind, tag, context))
    case TAG_DECIMAL_FRACTION:
      return readDecimalFraction(tokens, kind, context)
    default:
      return readValue(tokens, kind, levels, context)
  }
}

function readBignum(tokens: CborTokens, kind: CborKind, tag: number, context: SenmlErrorContext): bigint {
  if (kind !== 'bytes') throw new SenmlError('invalid_cbor', 'a bignum is not a byte string', context)
  return bignum(tag, tokens.value as Uint8Array, context)
}

/** `[exponent, mantissa]`: an integer, and an integer or a bignum (RFC 8949 section 3.4.4). */
function readDecimalFraction(tokens: CborTokens, kind: CborKind, context: SenmlErrorContext): number {
  const malformed = () => new SenmlError('invalid_cbor', 'a decimal fraction is not two integers', context)
  if (kind !== 'array' || tokens.value !== 2) throw malformed()
  const exponentKind = tokens.next()
  if (exponentKind !== 'uint' && exponentKind !== 'negint') throw malformed()
  const exponent = tokens.value as number | bigint
  const mantissaKind = tokens.next()
  if (mantissaKind === 'uint' || mantissaKind === 'negint') {
    return decimalFraction(exponent, String(tokens.value))
  }
  const tag = tokens.value
  if (mantissaKind !== 'tag' || (tag !== TAG_BIGNUM && tag !== TAG_NEGATIVE_BIGNUM)) throw malformed()
  return decimalFraction(exponent, readBignum(tokens, tokens.next(), tag, context))
}

function wrongType(message: string, context: SenmlErrorContext): SenmlError {
  return new SenmlError('wrong_type', message, context)
}
