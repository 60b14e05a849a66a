import { decodeBase64url } from './base64url.ts'
import { SenmlError, type SenmlErrorContext } from './errors.ts'
import { numberOfLabel } from './labels.ts'
import { isPlainObject } from './own.ts'
import type { SenmlRecord } from './record.ts'
import { isWellFormed } from './text.ts'

/**
 * The map that a record is in CBOR, in the order of its fields: integers for the labels of RFC 8428 (section 6,
 * table 4), text for others, bytes for `vd`.
 *
 * @param record checked
 * @throws {SenmlError} `invalid_text`, `wrong_type` for a field of an extension that CBOR has no form for
 */
export function cborMapOfRecord(record: SenmlRecord, index: number): Map<unknown, unknown> {
  const map = new Map<unknown, unknown>()
  for (const label in record) {
    const value = record[label]
    if (value === undefined) continue
    const number = numberOfLabel(label)
    if (number === undefined) {
      const context = { index, field: label }
      map.set(cborOf(label, context), cborOf(value, context))
    } else {
      map.set(number, label === 'vd' ? decodeBase64url(value as string) : value)
    }
  }
  return map
}

function cborOf(value: unknown, context: SenmlErrorContext): unknown {
  if (typeof value === 'string') {
    if (isWellFormed(value)) return value
    throw new SenmlError('invalid_text', 'holds half of a surrogate pair, which UTF-8 cannot carry', context)
  }
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value
  return value instanceof Uint8Array ? value : cborOfContainer(value, context)
}

function cborOfContainer(value: unknown, context: SenmlErrorContext): unknown {
  if (Array.isArray(value)) return value.map((inner) => cborOf(inner, context))
  if (!isPlainObject(value)) {
    throw new SenmlError('wrong_type', 'holds a value that CBOR has no form for', context)
  }
  const map = new Map<unknown, unknown>()
  for (const [key, inner] of Object.entries(value)) {
    if (inner !== undefined) map.set(cborOf(key, context), cborOf(inner, context))
  }
  return map
}
