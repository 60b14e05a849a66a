import { SenmlError } from './errors.ts'
import { BaseFields } from './fold.ts'
import { RELATIVE_TIME_LIMIT, type ResolvedRecord, type SenmlRecord } from './record.ts'

export interface ResolveOptions {
  /**
   * Whether to sort by time, as RFC 8428 section 4.6 wants of an archive; records of one time keep their order.
   * Default is the order received.
   */
  readonly chronological?: boolean
}

/**
 * Makes each record of a pack stand alone: base fields are folded in and dropped, and every time becomes absolute
 * (RFC 8428 section 4.6). Resolving what is resolved changes nothing.
 *
 * @param records a checked pack, in the order received; it is not changed
 * @param now seconds since the Unix epoch; times below 2**28 are offsets from it (section 4.5.3)
 * @returns new records, one for each that measures something: `t` in seconds since the Unix epoch, `v` in the unit
 *   named by `u`, `bver` only if it is not 10
 * @throws {SenmlError} `not_finite` where a base and its field add up to no double, `invalid_time` where a time, or
 *   `now`, is before 2**28 (1978-07-04), which no record can say
 */
export function resolve(
  records: readonly SenmlRecord[],
  now: number,
  options: ResolveOptions = {},
): ResolvedRecord[] {
  const resolver = new Resolver()
  const resolved: ResolvedRecord[] = []
  for (let index = 0; index < records.length; index++) {
    const record = resolver.next(records[index] as SenmlRecord, now)
    if (record !== undefined) resolved.push(record)
  }
  return options.chronological === true ? resolved.sort((a, b) => a.t - b.t) : resolved
}

/** Resolves record by record: for streams, where each record has its own now (RFC 8428 section 4.8). */
export class Resolver {
  readonly #base = new BaseFields()
  #index = 0

  /**
   * @param record the next of the stream, checked
   * @param now seconds since the Unix epoch when it was sent, or else received
   * @returns undefined for a record that has base fields alone
   * @throws {SenmlError} as {@link resolve}
   */
  next(record: SenmlRecord, now: number): ResolvedRecord | undefined {
    const index = this.#index++
    const resolved = this.#base.fold(record, index)
    if (resolved !== undefined && resolved.t < RELATIVE_TIME_LIMIT) {
      resolved.t = fromNow(resolved.t, now, index)
    }
    return resolved
  }
}

/**
 * The time `seconds` from now (RFC 8428 section 4.5.3).
 *
 * @throws {SenmlError} `invalid_time` where that, or now, could not be told from a relative time
 */
export function fromNow(seconds: number, now: number, index: number): number {
  const time = now + seconds
  if (time >= RELATIVE_TIME_LIMIT && now >= RELATIVE_TIME_LIMIT && Number.isFinite(time)) return time
  throw new SenmlError('invalid_time', `${seconds} s from ${now} cannot be told from a relative time`, {
    index,
    field: 't',
  })
}
