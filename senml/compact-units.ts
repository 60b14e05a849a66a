import type { SenmlRecord } from './record.ts'

/**
 * Makes the unit used most the base unit. A base unit cannot be taken back, so it starts behind the last record that
 * has no unit.
 */
export function shareUnit(bases: SenmlRecord[], rest: SenmlRecord[]): void {
  const start = rest.findLastIndex((record) => record.u === undefined) + 1
  const counts = new Map<string, number>()
  let most: string | undefined
  for (let i = start; i < rest.length; i++) {
    const unit = (rest[i] as SenmlRecord).u as string
    const count = (counts.get(unit) ?? 0) + 1
    counts.set(unit, count)
    if (count > (most === undefined ? 1 : (counts.get(most) as number))) most = unit
  }
  if (most === undefined) return
  ;(bases[start] as SenmlRecord).bu = most
  for (let i = start; i < rest.length; i++) {
    const record = rest[i] as SenmlRecord
    if (record.u === most) delete record.u
  }
}
