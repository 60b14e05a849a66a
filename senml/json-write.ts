import { encodeBase64url } from './base64url.ts'
import { SenmlError, type SenmlErrorContext } from './errors.ts'
import { isPlainObject } from './own.ts'
import type { SenmlRecord } from './record.ts'

/**
 * Whether `JSON.stringify` writes the record as it is: it would lose the sign of -0, and make of bytes an object.
 *
 * @param record checked
 * @throws {SenmlError} `wrong_type`, `not_finite` for a field of an extension that JSON has no form for
 */
export function isPlainJson(record: SenmlRecord, index: number): boolean {
  let isPlain = true
  for (const label in record) {
    const value = record[label]
    if (value !== undefined && !isPlainValue(value, { index, field: label })) isPlain = false
  }
  return isPlain
}

function isPlainValue(value: unknown, context: SenmlErrorContext): boolean {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new SenmlError('not_finite', 'is not a finite number', context)
    return !Object.is(value, -0)
  }
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return true
  return isPlainContainer(value, context)
}

function isPlainContainer(value: unknown, context: SenmlErrorContext): boolean {
  if (value instanceof Uint8Array) return false
  if (!Array.isArray(value) && !isPlainObject(value)) {
    throw new SenmlError('wrong_type', 'holds a value that JSON has no form for', context)
  }
  let isPlain = true
  for (const inner of Object.values(value)) {
    if (inner === undefined && !Array.isArray(value)) continue
    if (!isPlainValue(inner, context)) isPlain = false
  }
  return isPlain
}

/** Writes a record, or a value in it, that {@link isPlainJson} has looked at; with the sign of -0, bytes as base64url. */
export function writeJson(value: unknown): string {
  if (Object.is(value, -0)) return '-0'
  if (value instanceof Uint8Array) return `"${encodeBase64url(value)}"`
  if (Array.isArray(value)) return `[${value.map(writeJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).filter(([, inner]) => inner !== undefined)
  return `{${members.map(([key, inner]) => `${JSON.stringify(key)}:${writeJson(inner)}`).join(',')}}`
}
