import type { CborKind, CborTokens } from './cbor-codec.ts'
import {
  bignum,
  decimalFraction,
  TAG_BIGNUM,
  TAG_DECIMAL_FRACTION,
  TAG_NEGATIVE_BIGNUM,
} from './cbor-number.ts'
import { MAX_DEPTH, SenmlError, type SenmlErrorContext } from './errors.ts'
import { setField } from './own.ts'

/**
 * Reads the value of a field as JSON would have it, byte strings aside, which stay `Uint8Array`.
 *
 * - Integers and bignums (tags 2, 3) and decimal fractions (tag 4) become the nearest double.
 * - Other tags are dropped, and what they mark is kept; `undefined` becomes `null`.
 *
 * @param kind the token that the value starts with, read already
 * @param context where it stands, for the error
 * @throws {SenmlError} `invalid_cbor`, `wrong_type`, `not_finite`, `too_deep`
 */
export function readValue(
  tokens: CborTokens,
  kind: CborKind,
  context: SenmlErrorContext,
  levels = MAX_DEPTH,
): unknown {
  if (kind === 'uint' || kind === 'negint') return Number(tokens.value)
  if (kind === 'undefined') return null
  if (kind === 'break') {
    throw new SenmlError('invalid_cbor', 'a break stands where a value should', context)
  }
  if (kind !== 'array' && kind !== 'map' && kind !== 'tag') return tokens.value
  if (levels === 0) throw new SenmlError('too_deep', `nests deeper than ${MAX_DEPTH} levels`, context)
  if (kind === 'tag') return readTagged(tokens, tokens.value as number, context, levels - 1)
  return kind === 'array' ? readArray(tokens, context, levels - 1) : readMap(tokens, context, levels - 1)
}

function readArray(tokens: CborTokens, context: SenmlErrorContext, levels: number): unknown[] {
  const length = tokens.value as number
  const items: unknown[] = []
  for (let i = 0; i < length; i++) {
    const kind = tokens.next()
    if (kind === 'break' && length === Infinity) break
    items.push(readValue(tokens, kind, context, levels))
  }
  return items
}

function readMap(tokens: CborTokens, context: SenmlErrorContext, levels: number): Record<string, unknown> {
  const length = tokens.value as number
  const object: Record<string, unknown> = {}
  for (let i = 0; i < length; i++) {
    const kind = tokens.next()
    if (kind === 'break' && length === Infinity) break
    if (kind !== 'string' && kind !== 'uint' && kind !== 'negint') {
      throw new SenmlError(
        'wrong_type',
        'holds a map with a key that is neither text nor an integer',
        context,
      )
    }
    const key = String(tokens.value)
    setField(object, key, readValue(tokens, tokens.next(), context, levels))
  }
  return object
}

function readTagged(tokens: CborTokens, tag: number, context: SenmlErrorContext, levels: number): unknown {
  const kind = tokens.next()
  switch (tag) {
    case TAG_BIGNUM:
    case TAG_NEGATIVE_BIGNUM:
      return Number(readBignum(tokens, kind, tag, context))
    case TAG_DECIMAL_FRACTION:
      return readDecimalFraction(tokens, kind, context)
    default:
      return readValue(tokens, kind, context, levels)
  }
}

function readBignum(tokens: CborTokens, kind: CborKind, tag: number, context: SenmlErrorContext): bigint {
  if (kind !== 'bytes') throw new SenmlError('invalid_cbor', 'a bignum is not a byte string', context)
  return bignum(tag, tokens.value as Uint8Array, context)
}

/** `[exponent, mantissa]`: an integer, and an integer or a bignum (RFC 8949 section 3.4.4). */
function readDecimalFraction(tokens: CborTokens, kind: CborKind, context: SenmlErrorContext): number {
  if (kind !== 'array' || tokens.value !== 2) throw noDecimalFraction(context)
  const exponentKind = tokens.next()
  if (exponentKind !== 'uint' && exponentKind !== 'negint') throw noDecimalFraction(context)
  const exponent = tokens.value as number | bigint
  const mantissaKind = tokens.next()
  if (mantissaKind === 'uint' || mantissaKind === 'negint') {
    return decimalFraction(exponent, String(tokens.value))
  }
  const tag = tokens.value
  if (mantissaKind !== 'tag' || (tag !== TAG_BIGNUM && tag !== TAG_NEGATIVE_BIGNUM))
    throw noDecimalFraction(context)
  return decimalFraction(exponent, readBignum(tokens, tokens.next(), tag, context))
}

function noDecimalFraction(context: SenmlErrorContext): SenmlError {
  return new SenmlError('invalid_cbor', 'a decimal fraction is not two integers', context)
}
