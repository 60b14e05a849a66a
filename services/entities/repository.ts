import { sql } from 'kysely'
import type { Selectable } from 'kysely'
import type { Trx } from '../../platform/db/connect.ts'
import type { EntityColumns } from '../../platform/db/tables.ts'
import { NotFound } from '../../platform/errors.ts'
import type { ContainedType } from '../auth/types.ts'
import type { Entity, GroupedType } from './types.ts'

/** What is read of a group, a client or a channel alike. */
export type EntityRow = Selectable<EntityColumns> & Pick<Entity, 'status'> & { readonly domain_id: string }

export function toEntity(row: EntityRow): Entity {
  return {
    id: row.id,
    domainId: row.domain_id,
    name: row.name,
    tags: row.tags,
    metadata: row.metadata,
    status: row.status,
    createdBy: row.created_by,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    updatedBy: row.updated_by,
  }
}

/** Columns and what to set them to; `undefined` leaves a column as it is. Objects that are no arrays are JSON. */
export type Columns = Readonly<Record<string, unknown>>

/**
 * The order in which rows that bring their own ids are inserted. Two requests with the same ids in different orders would each
 * hold what the other waits for, and Postgres finds that out only after a second each time.
 */
export function inIdOrder<T extends { readonly id: string }>(rows: readonly T[]): T[] {
  return rows.toSorted((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))
}

const tableOf = (type: ContainedType) => sql.table(`${type}s`)

/** @returns whether there was such an entity, not deleted */
export async function updateEntity(
  trx: Trx,
  type: ContainedType,
  id: string,
  columns: Columns,
  updatedBy: string,
): Promise<boolean> {
  const assignments = Object.entries(columns)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => sql`${sql.ref(name)} = ${toParameter(value)}`)
  assignments.push(sql`updated_at = now()`, sql`updated_by = ${updatedBy}`)
  const { numAffectedRows } = await sql`
    update ${tableOf(type)} set ${sql.join(assignments)} where id = ${id} and status <> 'deleted'`.execute(
    trx,
  )
  return numAffectedRows === 1n
}

function toParameter(value: unknown): unknown {
  const isJson =
    typeof value === 'object' && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value)
  return isJson ? JSON.stringify(value) : value
}

/** @returns whether the entity changed from the other status to this one */
export async function updateStatus(
  trx: Trx,
  type: ContainedType,
  id: string,
  status: 'enabled' | 'disabled',
  updatedBy: string,
): Promise<boolean> {
  const from = status === 'enabled' ? 'disabled' : 'enabled'
  const { numAffectedRows } = await sql`
    update ${tableOf(type)} set status = ${status}, updated_at = now(), updated_by = ${updatedBy}
    where id = ${id} and status = ${from}`.execute(trx)
  return numAffectedRows === 1n
}

/** The row stays for the journal's sake; its route and its secret are free at once (contract D39). @returns whether there was one */
export async function markDeleted(
  trx: Trx,
  type: ContainedType,
  id: string,
  deletedBy: string,
): Promise<boolean> {
  return updateEntity(trx, type, id, { status: 'deleted' satisfies Entity['status'] }, deletedBy)
}

/**
 * Demands that the groups are there, and holds them as they are until the transaction ends, so that none is deleted under
 * what is put into it.
 *
 * @param ids `undefined` among them counts as none
 * @throws {NotFound} one of them is not in the domain
 */
export async function requireGroups(
  trx: Trx,
  domainId: string,
  ids: readonly (string | undefined)[],
): Promise<void> {
  const wanted = ids.filter((id) => id !== undefined)
  if (wanted.length === 0) return
  const { rows } = await sql`
    select from groups where id = any (${wanted}::uuid[]) and domain_id = ${domainId} and status <> 'deleted'
    order by id for share`.execute(trx)
  if (rows.length < wanted.length) throw new NotFound()
}

/** @returns whether it had no parent group before */
export async function setParentGroup(
  trx: Trx,
  type: GroupedType,
  id: string,
  groupId: string,
  updatedBy: string,
): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update ${tableOf(type)} set parent_group_id = ${groupId}, updated_at = now(), updated_by = ${updatedBy}
    where id = ${id} and status <> 'deleted' and parent_group_id is null`.execute(trx)
  return numAffectedRows === 1n
}

/** @returns whether that was its parent group */
export async function clearParentGroup(
  trx: Trx,
  type: GroupedType,
  id: string,
  groupId: string,
  updatedBy: string,
): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update ${tableOf(type)} set parent_group_id = null, updated_at = now(), updated_by = ${updatedBy}
    where id = ${id} and status <> 'deleted' and parent_group_id = ${groupId}`.execute(trx)
  return numAffectedRows === 1n
}
