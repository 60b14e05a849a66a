import { sql } from 'kysely'
import type { Expression, Selectable, SqlBool } from 'kysely'
import { violates } from '../../platform/db/connect.ts'
import type { Db } from '../../platform/db/connect.ts'
import { listingFilters, selectPage } from '../../platform/db/listing.ts'
import type { Listing, Page } from '../../platform/db/listing.ts'
import type { GroupsTable } from '../../platform/db/tables.ts'
import { TooDeep } from './errors.ts'
import type { Group, NewGroup } from './types.ts'

export function toGroup(row: Selectable<GroupsTable>): Group {
  return {
    id: row.id,
    domainId: row.domain_id,
    parentId: row.parent_id,
    path: row.path,
    name: row.name,
    description: row.description,
    tags: row.tags,
    metadata: row.metadata,
    status: row.status,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    updatedBy: row.updated_by,
  }
}

/** @throws {TooDeep} */
export async function insertGroup(db: Db, id: string, group: NewGroup, createdBy: string): Promise<Group> {
  // The parent's path is read in the statement that uses it, under a lock that a move of the parent would wait for.
  const parentPath =
    group.parentId === undefined
      ? sql<string[]>`'{}'::uuid[]`
      : sql<string[]>`(select path from groups where id = ${group.parentId} for share)`
  try {
    const row = await db
      .insertInto('groups')
      .values({
        id,
        domain_id: group.domainId,
        parent_id: group.parentId ?? null,
        path: sql<string[]>`${parentPath} || ${id}::uuid`,
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

export interface GroupListing extends Listing {
  readonly parentId: string | undefined
}

/** @param visible which groups the caller may see */
export async function listGroups(
  db: Db,
  domainId: string,
  visible: Expression<SqlBool>,
  listing: GroupListing,
): Promise<Page<Group>> {
  const conditions = [
    sql<SqlBool>`groups.domain_id = ${domainId}`,
    visible,
    ...listingFilters('groups', listing),
  ]
  if (listing.parentId !== undefined) conditions.push(sql<SqlBool>`groups.parent_id = ${listing.parentId}`)
  return toPage(await selectPage<Selectable<GroupsTable>>(db, 'groups', conditions, listing))
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
    ...listingFilters('groups', listing),
  ]
  if (levels.to !== undefined) conditions.push(sql<SqlBool>`cardinality(groups.path) <= ${depth + levels.to}`)
  return toPage(await selectPage<Selectable<GroupsTable>>(db, 'groups', conditions, listing))
}

const toPage = (page: Page<Selectable<GroupsTable>>): Page<Group> => ({
  total: page.total,
  items: page.items.map(toGroup),
})
