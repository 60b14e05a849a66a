import { randomUUID } from 'node:crypto'
import type { Trx } from '../../platform/db/connect.ts'
import { transact } from '../../platform/db/transact.ts'
import type { Principal } from '../auth/types.ts'
import { requireGroups } from './repository.ts'
import type { EntityParts } from './rules.ts'
import type { Grouped, GroupedType, NewGrouped, Placed } from './types.ts'

interface Creation<N extends NewGrouped, T extends Grouped> extends Pick<
  EntityParts<T>,
  'db' | 'journal' | 'policy'
> {
  readonly type: GroupedType
  readonly insert: (trx: Trx, rows: readonly Placed<N>[]) => Promise<T[]>
  /** What the journal says of each. */
  readonly describe: (entity: T) => Record<string, unknown>
}

/**
 * Creates clients or channels in a domain, all or none, and makes the caller admin of each.
 *
 * @returns what `insert` does
 * @throws {Forbidden} @throws {NotFound} no such parent group in the domain
 */
export async function createGrouped<N extends NewGrouped, T extends Grouped>(
  { type, db, journal, policy, insert, describe }: Creation<N, T>,
  principal: Principal,
  domainId: string,
  inputs: readonly N[],
): Promise<T[]> {
  const parents = [...new Set(inputs.map((input) => input.parentGroupId))]
  for (const parent of parents) await policy.requireCreate(principal, type, domainId, parent)
  const createdBy = principal.userId
  const rows = inputs.map((input) => ({ ...input, id: input.id ?? randomUUID(), domainId, createdBy }))
  return transact(db, async (trx) => {
    await requireGroups(trx, domainId, parents)
    const created = await insert(trx, rows)
    await policy.grantAdmin(
      trx,
      principal,
      type,
      rows.map((row) => row.id),
      domainId,
    )
    await journal.record(
      trx,
      ...created.map((entity) => ({
        operation: `${type}.create`,
        domainId,
        entityType: type,
        entityId: entity.id,
        actorId: principal.userId,
        attributes: describe(entity),
      })),
    )
    return created
  })
}
