import { sql } from 'kysely'
import type { Expression, RawBuilder, SqlBool } from 'kysely'
import type { Db } from './connect.ts'

/** Tags match when all of at least one of the lists are there. */
export interface TagsFilter {
  readonly anyOf: readonly (readonly string[])[]
}

/** One page of a list of entities: which, how ordered, how many. */
export interface Listing {
  readonly offset: number
  readonly limit: number
  readonly onlyTotal: boolean
  readonly order: string
  readonly dir: 'asc' | 'desc'
  readonly id: string | undefined
  /** Part of the name, case ignored. */
  readonly name: string | undefined
  /** `undefined` means every status but `deleted`. */
  readonly status: string | undefined
  /** Contained in the entity's metadata. */
  readonly metadata: Record<string, unknown> | undefined
  readonly tags: TagsFilter | undefined
  /** Inclusive. */
  readonly createdFrom: Date | undefined
  /** Exclusive. */
  readonly createdTo: Date | undefined
}

export interface Page<T> {
  readonly total: number
  readonly items: T[]
}

/** Below a group at whatever depth, or without a parent group. */
export type GroupFilter = 'none' | { readonly subtreeOf: string }

/** @param table `clients` or `channels` */
export function withinGroup(table: string, group: GroupFilter): Expression<SqlBool> {
  const parent = sql.ref(`${table}.parent_group_id`)
  if (group === 'none') return sql`${parent} is null`
  return sql`${parent} in (select g.id from groups g where g.path @> ${[group.subtreeOf]}::uuid[])`
}

/** The filters that all entities share, as conditions on the table of this name. */
export function listingFilters(table: string, listing: Listing): Expression<SqlBool>[] {
  return [statusFilter(table, listing.status), ...contentFilters(table, listing)]
}

export function statusFilter(table: string, status: Listing['status']): Expression<SqlBool> {
  const column = sql.ref(`${table}.status`)
  // Written out, so that the planner sees that indexes without deleted rows serve.
  return status === undefined ? sql`${column} <> 'deleted'` : sql`${column} = ${sql.lit(status)}`
}

/** The filters besides the status. */
export function contentFilters(table: string, listing: Listing): Expression<SqlBool>[] {
  const column = (name: string) => sql.ref(`${table}.${name}`)
  const filters: Expression<SqlBool>[] = []
  const { id, name, metadata, tags, createdFrom, createdTo } = listing
  if (id !== undefined) filters.push(sql`${column('id')} = ${id}`)
  if (name !== undefined) filters.push(sql`${column('name')} ilike ${contains(name)}`)
  if (metadata !== undefined) filters.push(sql`${column('metadata')} @> ${JSON.stringify(metadata)}::jsonb`)
  if (tags !== undefined) {
    const each = tags.anyOf.map((all) => sql<SqlBool>`${column('tags')} @> ${[...all]}::text[]`)
    filters.push(sql`(${sql.join(each, sql` or `)})`)
  }
  if (createdFrom !== undefined) filters.push(sql`${column('created_at')} >= ${createdFrom}`)
  if (createdTo !== undefined) filters.push(sql`${column('created_at')} < ${createdTo}`)
  return filters
}

/** A pattern for `ilike` that matches text holding the value, whose own wildcards mean nothing. */
export function contains(value: string): string {
  return `%${value.replace(/[\\%_]/g, '\\$&')}%`
}

/** The order of a listing, with the id behind it so that pages neither overlap nor skip. */
export function listingOrder(table: string, { order, dir }: Pick<Listing, 'order' | 'dir'>) {
  const direction = sql.raw(dir)
  const column = sql.ref(`${table}.${order}`)
  // Names are ordered by what the index holds of them.
  const key = order === 'name' ? sql`left(${column}, 256)` : column
  return sql`${key} ${direction}, ${sql.ref(`${table}.id`)} ${direction}`
}

/**
 * One page of a table and the number of all that match.
 *
 * @param conditions all must hold; what the caller may see belongs in here
 */
export async function selectPage<Row>(
  db: Db,
  table: string,
  conditions: readonly Expression<SqlBool>[],
  listing: Pick<Listing, 'offset' | 'limit' | 'onlyTotal' | 'order' | 'dir'>,
  columns: RawBuilder<unknown> = sql`${sql.table(table)}.*`,
): Promise<Page<Row>> {
  const matching = sql`from ${sql.table(table)} where ${sql.join(conditions, sql` and `)}`
  const count = sql<{ total: number }>`select count(*) as total ${matching}`.execute(db)
  const page = listing.onlyTotal
    ? undefined
    : sql<Row>`select ${columns} ${matching} order by ${listingOrder(table, listing)}
        limit ${listing.limit} offset ${listing.offset}`.execute(db)
  const [counted, found] = await Promise.all([count, page])
  return { total: counted.rows[0]?.total ?? 0, items: found?.rows ?? [] }
}
