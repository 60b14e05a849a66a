import { SenmlError } from './errors.ts'
import type { FetchRecord, PatchRecord } from './etch.ts'
import { keyOf, Selections } from './etch-select.ts'
import type { ResolvedRecord, SenmlRecord } from './record.ts'
import { resolve, Resolver } from './resolve.ts'

/**
 * Finds the records that a Fetch Pack selects (RFC 8790 section 3.1). A Fetch Record without a time takes all times,
 * one without a unit all units.
 *
 * @param target a checked pack
 * @param fetch a checked Fetch Pack
 * @param now seconds since the Unix epoch; what relative times in both are offsets from
 * @returns resolved records, in the order of the target, each once; `compact` makes the answer to send of them. Empty
 *   if nothing matches
 * @throws {SenmlError} as `resolve`
 */
export function fetchRecords(
  target: readonly SenmlRecord[],
  fetch: readonly FetchRecord[],
  now: number,
): ResolvedRecord[] {
  const selections = new Selections(now)
  const wanted = new Set(fetch.map((record) => keyOf(selections.next(record))))
  return resolve(target, now).filter(
    ({ n: name, t: time, u: unit }) =>
      wanted.has(keyOf({ name, time: undefined, unit: undefined })) ||
      wanted.has(keyOf({ name, time, unit: undefined })) ||
      wanted.has(keyOf({ name, time: undefined, unit })) ||
      wanted.has(keyOf({ name, time, unit })),
  )
}

/** More than one record of the target has the selection. */
const AMBIGUOUS = -1

/**
 * Applies a Patch Pack (RFC 8790 section 3.2), all of it or, if it throws, nothing. A Patch Record meets the record
 * that has the same name, and the same time and unit or neither; it takes its place, removes it (`v: null`), or is
 * added where there is none.
 *
 * @param target a checked pack; it is not changed
 * @param patch a checked Patch Pack
 * @param now seconds since the Unix epoch; what relative times in both are offsets from
 * @returns the records behind the patch, base fields folded in, times absolute, and no time where a record has none
 * @throws {SenmlError} `ambiguous_target`, its index that of the Patch Record, where a Patch Record meets more than
 *   one record; `not_finite` and `invalid_time` as `resolve`
 */
export function applyPatch(
  target: readonly SenmlRecord[],
  patch: readonly PatchRecord[],
  now: number,
): SenmlRecord[] {
  const records: (SenmlRecord | undefined)[] = []
  const positions = new Map<string, number>()
  for (const { key, record } of standalone(target, now)) {
    positions.set(key, positions.has(key) ? AMBIGUOUS : records.length)
    records.push(record)
  }
  let index = 0
  for (const { key, record } of standalone(patch, now)) {
    const position = positions.get(key)
    if (position === AMBIGUOUS) {
      throw new SenmlError('ambiguous_target', 'matches more than one record', { index })
    }
    if (patch[index++]?.v === null) {
      positions.delete(key)
      if (position !== undefined) records[position] = undefined
    } else {
      positions.set(key, position ?? records.length)
      records[position ?? records.length] = record
    }
  }
  return records.filter((record) => record !== undefined)
}

/** Each record that measures something, standing alone, with its key; without a time if none was given. */
function* standalone(
  pack: readonly (SenmlRecord | PatchRecord)[],
  now: number,
): Generator<{ key: string; record: SenmlRecord }> {
  const resolver = new Resolver()
  let hasBaseTime = false
  for (const given of pack) {
    hasBaseTime ||= given.bt !== undefined
    // A record to be removed passes as a number, for its base fields hold for those behind it.
    const resolved = resolver.next(given.v === null ? { ...given, v: 0 } : (given as SenmlRecord), now)
    if (resolved === undefined) continue
    const { t: time, ...record } = resolved
    if (hasBaseTime || given.t !== undefined) {
      yield { key: keyOf({ name: record.n, time, unit: record.u }), record: resolved }
    } else {
      yield { key: keyOf({ name: record.n, time: undefined, unit: record.u }), record }
    }
  }
}
