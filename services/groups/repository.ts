import { sql } from 'kysely'
import type { Expression, Selectable, SqlBool } from 'kysely'
import { violates } from '../../platform/db/connect.ts'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { listingFilters, selectPage } from '../../platform/db/listing.ts'
import type { Listing, Page } from '../../platform/db/listing.ts'
import type { GroupsTable } from '../../platform/db/tables.ts'
import { listEntities } from '../entities/list-repository.ts'
import { isVisibleRoot } from '../entities/lists.ts'
import type { View } from '../entities/lists.ts'
import { toEntity } from '../entities/repository.ts'
import type { EntityListing } from '../entities/types.ts'
import { TooDeep } from './errors.ts'
import type { Group, NewGroup } from './types.ts'

type Row = Selectable<GroupsTable>

export function toGroup(row: Row): Group {
  return { ...toEntity(row), parentId: row.parent_id, path: row.path, description: row.description }
}

/** @param parentPath ids from the root down to the parent; empty for a root @throws {TooDeep} */
export async function insertGroup(
  trx: Trx,
  id: string,
  group: NewGroup,
  parentPath: readonly string[],
  createdBy: string,
): Promise<Group> {
  try {
    const row = await trx
      .insertInto('groups')
      .values({
        id,
        domain_id: group.domainId,
        parent_id: group.parentId ?? null,
        path: [...parentPath, id],
        name: group.name,
        description: group.description,
        tags: [...group.tags],
        metadata: JSON.stringify(group.metadata),
        status: group.status,
        created_by: createdBy,
        updated_by: null,
      })
      .returningAll()
      .executeTakeFirstOrThrow()
    return toGroup(row)
  } catch (error) {
    if (violates(error, 'groups_depth')) throw new TooDeep({ cause: error })
    throw error
  }
}

export async function findGroup(db: Db, id: string): Promise<Group | undefined> {
  const row = await db
    .selectFrom('groups')
    .selectAll()
    .where('id', '=', id)
    .where('status', '<>', 'deleted')
    .executeTakeFirst()
  return row && toGroup(row)
}

export interface GroupListing extends EntityListing {
  readonly parentId: string | undefined
  readonly createdBy: string | undefined
  /** Only those whose parent the viewer does not see. */
  readonly isRoot: boolean
}

export async function listGroups(db: Db, view: View, listing: GroupListing): Promise<Page<Group>> {
  const conditions = [...view.conditions]
  const { parentId, createdBy, isRoot } = listing
  if (parentId !== undefined) conditions.push(sql<SqlBool>`groups.parent_id = ${parentId}`)
  if (createdBy !== undefined) conditions.push(sql<SqlBool>`groups.created_by = ${createdBy}`)
  if (isRoot) conditions.push(isVisibleRoot(view.viewer))
  const columns = sql`groups.*`
  return toPage(await listEntities<Row>(db, { reach: view.reach, listing, conditions, columns }))
}

/** Which levels below a group: 0 is the group itself. `to` is `undefined` for all the way down. */
export interface Levels {
  readonly from: number
  readonly to: number | undefined
}

export async function listDescendants(
  db: Db,
  group: Group,
  levels: Levels,
  listing: Listing,
): Promise<Page<Group>> {
  const depth = group.path.length
  const conditions = [
    sql<SqlBool>`groups.path @> ${[group.id]}::uuid[]`,
    sql<SqlBool>`cardinality(groups.path) >= ${depth + levels.from}`,
  ]
  if (levels.to !== undefined) conditions.push(sql<SqlBool>`cardinality(groups.path) <= ${depth + levels.to}`)
  return page(db, conditions, listing)
}

/** The groups above a group. */
export async function listAncestors(db: Db, group: Group, listing: Listing): Promise<Page<Group>> {
  const above = group.path.slice(0, -1)
  return page(db, [sql<SqlBool>`groups.id = any (${above}::uuid[])`], listing)
}

/** Which way through the tree, and how many levels of it. */
export interface Way {
  readonly direction: 'up' | 'down'
  readonly depth: number
  readonly limit: number
}

export async function listHierarchy(
  db: Db,
  group: Group,
  { direction, depth, limit }: Way,
): Promise<Group[]> {
  const level = group.path.length
  const isWithin =
    direction === 'up'
      ? sql`id = any (${group.path.slice(-depth - 1)}::uuid[])`
      : sql`path @> ${[group.id]}::uuid[] and cardinality(path) <= ${level + depth}`
  const { rows } = await sql<Row>`
    select * from groups where ${isWithin} and status <> 'deleted'
    order by cardinality(path), id limit ${limit}`.execute(db)
  return rows.map(toGroup)
}

async function page(
  db: Db,
  conditions: readonly Expression<SqlBool>[],
  listing: Listing,
): Promise<Page<Group>> {
  return toPage(
    await selectPage<Row>(db, 'groups', [...conditions, ...listingFilters('groups', listing)], listing),
  )
}

const toPage = ({ total, items }: Page<Row>): Page<Group> => ({ total, items: items.map(toGroup) })
