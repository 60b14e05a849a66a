import { SenmlError, type SenmlErrorContext } from './errors.ts'

/** Tags of numbers (RFC 8949 section 3.4). */
export const TAG_BIGNUM = 2
export const TAG_NEGATIVE_BIGNUM = 3
export const TAG_DECIMAL_FRACTION = 4

/**
 * Bytes of a bignum, leading zeros aside, that a double can still come near: 2**1024 has 128. Longer ones are refused
 * before their value is worked out, which takes more than linear time.
 */
const MAX_BIGNUM_BYTES = 128

/**
 * The value of a bignum's bytes (RFC 8949 section 3.4.3).
 *
 * @param tag 2 for n, 3 for -1 - n
 * @throws {SenmlError} `not_finite` where it has more than 128 bytes and thus no double
 */
export function bignum(tag: number, bytes: Uint8Array, context: SenmlErrorContext): bigint {
  let start = 0
  while (start < bytes.length && bytes[start] === 0) start++
  if (bytes.length - start > MAX_BIGNUM_BYTES) {
    throw new SenmlError('not_finite', 'a bignum is beyond the range of doubles', context)
  }
  let value = 0n
  for (let i = start; i < bytes.length; i++) value = (value << 8n) | BigInt(bytes[i] as number)
  return tag === TAG_NEGATIVE_BIGNUM ? -1n - value : value
}

/**
 * The double nearest to mantissa × 10**exponent (RFC 8949 section 3.4.4); infinite where it is out of range.
 *
 * @param mantissa an integer, or its digits
 */
export function decimalFraction(exponent: number | bigint, mantissa: string | bigint): number {
  // Through text, because that rounds once: 273.15 is not 27315 × 0.01.
  return Number(`${mantissa}e${exponent}`)
}
