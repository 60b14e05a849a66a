import { RELATIVE_TIME_LIMIT, type SenmlRecord } from './record.ts'

/** Characters of `"bt":,`. */
const BASE_COST = 6

/**
 * Takes the first absolute time of each run out as base time. Relative times stay as they are: a base would only make
 * them longer.
 */
export function shareTimes(bases: SenmlRecord[], rest: SenmlRecord[]): void {
  let base = 0
  rest.forEach((record, i) => {
    const time = record.t as number
    let left = isAbsolute(time) === isAbsolute(base) ? difference(base, time) : undefined
    if (left === undefined) {
      const before = base
      base = baseFor(time, rest[i + 1]?.t)
      // Once there is a base time, only another one ends it.
      if (base !== before) (bases[i] as SenmlRecord).bt = base
      left = time - base
    }
    if (left === 0) delete record.t
    else record.t = left
  })
}

/** The base to start at a time. One that serves a single record says no more than the time itself. */
function baseFor(time: number, next: number | undefined): number {
  return isAbsolute(time) && next !== undefined && isAbsolute(next) ? time : 0
}

function isAbsolute(time: number): boolean {
  return time >= RELATIVE_TIME_LIMIT
}

/**
 * Takes the first number of a field out of all of them, if the pack gets shorter and no number changes.
 *
 * @param field `v` or `s`; records without it are left alone
 */
export function shareAddend(
  bases: SenmlRecord[],
  rest: SenmlRecord[],
  field: 'v' | 's',
  base: 'bv' | 'bs',
): void {
  const start = rest.findIndex((record) => record[field] !== undefined)
  const first = rest[start]?.[field]
  if (first === undefined) return
  const holders = rest.filter((record) => record[field] !== undefined)
  let saved = -BASE_COST - lengthOf(first)
  const left: number[] = []
  for (const record of holders) {
    const number = record[field] as number
    const less = difference(first, number)
    // -0 is lost by adding to it.
    if (less === undefined || Object.is(number, -0)) return
    left.push(less)
    saved += lengthOf(number) - lengthOf(less)
  }
  if (saved <= 0) return
  ;(bases[start] as SenmlRecord)[base] = first
  holders.forEach((record, i) => (record[field] = left[i] as number))
}

/** The shortest number that added to the base gives exactly the total; undefined if there is none. */
function difference(base: number, total: number): number | undefined {
  const exact = total - base
  // 1276020071.001 - 1276020076.001 is -4.999999761581421, but -5 leads to the same double.
  for (const scale of [1, 1e3, 1e6]) {
    const rounded = Math.round(exact * scale) / scale
    if (base + rounded === total) return rounded + 0
  }
  return base + exact === total ? exact : undefined
}

function lengthOf(number: number): number {
  return String(number).length
}
