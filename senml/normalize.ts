import { BaseFields } from './fold.ts'
import type { ResolvedRecord, SenmlRecord } from './record.ts'

/**
 * A record that stands alone as a resolved one does, but whose time may be relative still: `t` below 2**28 is seconds
 * from now (RFC 8428 section 4.5.3).
 */
export type NormalizedRecord = ResolvedRecord

/**
 * Makes each record of a pack stand alone without asking what time it is: base fields are folded in and dropped,
 * relative times stay relative. `resolve` is this with a clock. The order is the one received.
 *
 * @param records a checked pack; it is not changed
 * @returns new records, one for each that measures something, `t` always there
 * @throws {SenmlError} `not_finite` where a base and its field add up to no double
 */
export function normalize(records: readonly SenmlRecord[]): NormalizedRecord[] {
  const base = new BaseFields()
  const normalized: NormalizedRecord[] = []
  for (let index = 0; index < records.length; index++) {
    const record = base.fold(records[index] as SenmlRecord, index)
    if (record !== undefined) normalized.push(record)
  }
  return normalized
}
