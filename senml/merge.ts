import { compact } from './compact.ts'
import { SenmlError } from './errors.ts'
import { normalize } from './normalize.ts'
import { DEFAULT_VERSION, type SenmlRecord } from './record.ts'

/**
 * Makes one small pack of many, in the order given. Relative times stay relative: packs that were received at
 * different times are to be resolved first, each with its own now.
 *
 * @param packs checked packs; they are not changed
 * @returns a pack with its own base fields; empty if no record of any pack measures something
 * @throws {SenmlError} `mixed_versions` where the packs differ in version (RFC 8428 section 4.4), its index counting
 *   the records of all packs that measure something; `not_finite` as `normalize`
 */
export function merge(packs: Iterable<readonly SenmlRecord[]>): SenmlRecord[] {
  const all: SenmlRecord[] = []
  for (const pack of packs) {
    for (const record of normalize(pack)) all.push(record)
  }
  const version = all[0]?.bver ?? DEFAULT_VERSION
  const index = all.findIndex((record) => (record.bver ?? DEFAULT_VERSION) !== version)
  if (index !== -1) {
    throw new SenmlError('mixed_versions', `another version than ${version}`, { index, field: 'bver' })
  }
  return compact(all)
}
