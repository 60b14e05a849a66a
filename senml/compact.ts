import { shareNames } from './compact-names.ts'
import { shareAddend, shareTimes } from './compact-numbers.ts'
import { shareUnit } from './compact-units.ts'
import { normalize } from './normalize.ts'
import type { SenmlRecord } from './record.ts'

/**
 * Finds base fields that make a pack small: the inverse of `normalize`. What the records say stays the same to the
 * last bit, and so does their order; extensions are kept, base fields of extensions are not (see `normalize`).
 *
 * Names share what they begin with, times and numbers the first of them, units the one used most; each only where
 * that makes the pack shorter. It takes one walk for each, so the pack found is small, not provably the smallest.
 *
 * @param records a checked pack, in any form; it is not changed
 * @returns a pack that resolves to the same records, with base fields first in their record as RFC 8428 writes them
 * @throws {SenmlError} `not_finite` where a base and its field add up to no double
 */
export function compact(records: readonly SenmlRecord[]): SenmlRecord[] {
  const plain = normalize(records)
  const bases: SenmlRecord[] = plain.map(() => ({}))
  const rest: SenmlRecord[] = plain.map((record) => ({ ...record }))
  shareNames(bases, rest)
  shareTimes(bases, rest)
  shareUnit(bases, rest)
  shareAddend(bases, rest, 'v', 'bv')
  // A base sum gives a sum to records that have none (section 4.5.4), so all of them have to have one.
  if (rest.every((record) => record.s !== undefined)) shareAddend(bases, rest, 's', 'bs')
  shareVersion(bases, rest)
  return rest.map((record, i) => ({ ...bases[i], ...record }))
}

/** All records of a pack have one version (section 4.4); the first says it for all. */
function shareVersion(bases: SenmlRecord[], rest: SenmlRecord[]): void {
  const version = rest[0]?.bver
  for (const record of rest) delete record.bver
  if (version !== undefined && bases[0] !== undefined) bases[0].bver = version
}
