import { isSenmlLabel } from './labels.ts'
import { isRecordLike } from './validate.ts'

/**
 * Whether a JSON value that nobody has declared to be SenML is meant as a pack, so that it should be read as one and
 * refused if it is wrong: an array of objects that all have fields of RFC 8428, the first naming something, and one
 * or more holding a value of the right type. `[{ "n": "bob", "s": "hello" }]` is other people's JSON.
 *
 * @param value what `JSON.parse` returned; hand it to `fromJsonValue` next
 */
export function looksLikeSenml(value: unknown): boolean {
  if (!Array.isArray(value) || value.length === 0) return false
  const first: unknown = value[0]
  if (!isRecordLike(first) || (typeof first.n !== 'string' && typeof first.bn !== 'string')) return false
  return (
    value.every((item) => isRecordLike(item) && Object.keys(item).some(isSenmlLabel)) &&
    value.some(holdsValue)
  )
}

function holdsValue(record: Record<string, unknown>): boolean {
  return (
    typeof record.v === 'number' ||
    typeof record.vs === 'string' ||
    typeof record.vb === 'boolean' ||
    typeof record.vd === 'string' ||
    typeof record.s === 'number'
  )
}
