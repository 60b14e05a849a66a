import { isBase64url } from './base64url.ts'
import { MAX_DEPTH, SenmlError } from './errors.ts'
import { isWellFormed } from './text.ts'

/** What a field does in its record. Bits, so that a record can be told by the fields it has. */
export const Role = {
  /** Holds for this record and those behind it (RFC 8428 section 4.1). */
  base: 1,
  /** Describes a measurement without being one: name, unit, times (section 4.2). */
  regular: 2,
  /** One of v, vs, vb and vd, of which a record has at most one. */
  value: 4,
  sum: 8,
  /** Not defined by RFC 8428. */
  unknown: 16,
} as const

/**
 * Checks one field by itself: its type (RFC 8428 section 4.3, table 1), that numbers are finite and texts can be
 * written. Whether an unknown field must be understood is the caller's to say.
 *
 * @returns the bit of {@link Role} that the label has
 * @throws {SenmlError} `wrong_type`, `not_finite`, `invalid_text`, `invalid_version`, `invalid_data`, `too_deep`
 */
export function checkField(label: string, value: unknown, index: number): number {
  switch (label) {
    case 'n':
      if (typeof value !== 'string') throw wrongType(index, label, 'text')
      return Role.regular
    case 'v':
      checkNumber(label, value, index)
      return Role.value
    case 't':
    case 'ut':
      checkNumber(label, value, index)
      return Role.regular
    case 'u':
      checkText(label, value, index)
      return Role.regular
    case 'vs':
      checkText(label, value, index)
      return Role.value
    case 'vb':
      if (typeof value !== 'boolean') throw wrongType(index, label, 'a boolean')
      return Role.value
    case 'vd':
      checkData(label, value, index)
      return Role.value
    case 's':
      checkNumber(label, value, index)
      return Role.sum
    case 'bn':
      if (typeof value !== 'string') throw wrongType(index, label, 'text')
      return Role.base
    case 'bu':
      checkText(label, value, index)
      return Role.base
    case 'bt':
    case 'bv':
    case 'bs':
      checkNumber(label, value, index)
      return Role.base
    case 'bver':
      checkVersion(label, value, index)
      return Role.base
    default:
      if (typeof value === 'object' && nestsDeeper(value, MAX_DEPTH)) {
        throw new SenmlError('too_deep', `nests deeper than ${MAX_DEPTH} levels`, { index, field: label })
      }
      return Role.unknown
  }
}

function checkNumber(field: string, value: unknown, index: number): void {
  if (typeof value !== 'number') throw wrongType(index, field, 'a number')
  // JSON has no infinities, but 1e999 reads as one.
  if (!Number.isFinite(value)) throw new SenmlError('not_finite', 'is not a finite number', { index, field })
}

function checkText(field: string, value: unknown, index: number): void {
  if (typeof value !== 'string') throw wrongType(index, field, 'text')
  if (!isWellFormed(value)) {
    throw new SenmlError('invalid_text', 'holds half of a surrogate pair, which UTF-8 cannot carry', {
      index,
      field,
    })
  }
}

function checkData(field: string, value: unknown, index: number): void {
  if (typeof value !== 'string') throw wrongType(index, field, 'base64url text')
  if (!isBase64url(value)) {
    throw new SenmlError('invalid_data', 'is not base64url without padding', { index, field })
  }
}

function checkVersion(field: string, value: unknown, index: number): void {
  if (typeof value !== 'number') throw wrongType(index, field, 'a number')
  if (!Number.isInteger(value) || value < 1) {
    throw new SenmlError('invalid_version', 'is not a positive integer', { index, field })
  }
}

function wrongType(index: number, field: string, expected: string): SenmlError {
  return new SenmlError('wrong_type', `is not ${expected}`, { index, field })
}

function nestsDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return false
  if (levels === 0) return true
  return Object.values(value).some((inner) => nestsDeeper(inner, levels - 1))
}
