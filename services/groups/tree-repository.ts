import { sql } from 'kysely'
import { violates } from '../../platform/db/connect.ts'
import type { Trx } from '../../platform/db/connect.ts'
import { TooDeep } from './errors.ts'
import type { Group } from './types.ts'

const TREE_LOCK = 7_401_003

/**
 * Holds the tree of a domain until the transaction ends: changes of it come one after the other, so that none is made on what
 * another is about to change. Groups may be added beside each other, but not while subtrees move: what comes into a subtree
 * after its paths were listed would keep the path from before.
 */
export async function lockTree(trx: Trx, domainId: string, purpose: 'change' | 'add'): Promise<void> {
  const lock = sql.raw(purpose === 'change' ? 'pg_advisory_xact_lock' : 'pg_advisory_xact_lock_shared')
  await sql`select ${lock}(${TREE_LOCK}, hashtext(${domainId}))`.execute(trx)
}

/** Puts a root, with all below it, under a parent. @throws {TooDeep} */
export async function attach(trx: Trx, group: Group, parent: Group, movedBy: string): Promise<void> {
  try {
    await sql`
      update groups set path = ${[...parent.path]}::uuid[] || path
      where path @> ${[group.id]}::uuid[]`.execute(trx)
  } catch (error) {
    if (violates(error, 'groups_depth')) throw new TooDeep({ cause: error })
    throw error
  }
  await sql`
    update groups set parent_id = ${parent.id}, updated_at = now(), updated_by = ${movedBy}
    where id = ${group.id}`.execute(trx)
}

/** Makes roots of these children of the group, or of all. @returns which became roots */
export async function detachChildren(
  trx: Trx,
  group: Group,
  childIds: readonly string[] | undefined,
  movedBy: string,
): Promise<string[]> {
  const ofThese =
    childIds === undefined
      ? sql``
      : sql`and path[${group.path.length + 1}::int] = any (${[...childIds]}::uuid[])`
  await sql`
    update groups set path = path[${group.path.length + 1}::int:]
    where path @> ${[group.id]}::uuid[] and id <> ${group.id} ${ofThese}`.execute(trx)
  const { rows } = await sql<{ id: string }>`
    update groups set parent_id = null, updated_at = now(), updated_by = ${movedBy}
    where parent_id = ${group.id} and cardinality(path) = 1 returning id`.execute(trx)
  return rows.map((row) => row.id)
}

/** Takes the group itself out of the tree, and clients and channels out of the group. @returns how many of them there were */
export async function releaseMembers(
  trx: Trx,
  groupId: string,
): Promise<{ clients: number; channels: number }> {
  await sql`update groups set parent_id = null, path = array[id] where id = ${groupId}`.execute(trx)
  const release = (table: 'clients' | 'channels') =>
    sql`update ${sql.table(table)} set parent_group_id = null where parent_group_id = ${groupId}`.execute(trx)
  const clients = await release('clients')
  const channels = await release('channels')
  return { clients: Number(clients.numAffectedRows ?? 0), channels: Number(channels.numAffectedRows ?? 0) }
}
