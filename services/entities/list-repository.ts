import { sql } from 'kysely'
import type { Expression, RawBuilder, SqlBool } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'
import { contentFilters, listingOrder, statusFilter } from '../../platform/db/listing.ts'
import type { Listing, Page } from '../../platform/db/listing.ts'
import type { Reach } from '../auth/types.ts'

export interface EntityQuery {
  readonly reach: Reach
  readonly listing: Listing
  /** Besides those of the listing; on the table by its name. */
  readonly conditions: readonly Expression<SqlBool>[]
  /** What is selected of each row. */
  readonly columns: RawBuilder<unknown>
}

/** One part of what the user sees: disjoint from the others, and read by indexes of its own. */
interface Source {
  readonly domains: readonly string[]
  readonly join: RawBuilder<unknown>
  readonly conditions: readonly Expression<SqlBool>[]
  /** How many there are of the listing's status, where that is known without reading them. */
  readonly total: RawBuilder<number> | undefined
}

/**
 * One page of what the user sees, and the number of all that match (docs/decisions/0004-lists.md). Each source gives its own
 * first rows, off an index; the page is the first of those.
 */
export async function listEntities<Row>(db: Db, query: EntityQuery): Promise<Page<Row>> {
  const { reach, listing, columns } = query
  const sources = sourcesOf(query)
  if (sources.length === 0) return { total: 0, items: [] }
  const table = sql.table(`${reach.type}s`)
  const totals = sources.map((source) => countOf(query, source))
  const count = sql<{ total: number }>`select (${sql.join(totals, sql`) + (`)}) as total`.execute(db)
  const parts = sources.map((source) => sql`(${firstOf(query, source, sources.length === 1)})`)
  const order = listingOrder(`${reach.type}s`, listing)
  const page = listing.onlyTotal
    ? undefined
    : sql<Row>`
        select ${columns} from (${sql.join(parts, sql` union all `)}) as ${table} order by ${order}
        ${isCut(sources) ? sql`` : sql`limit ${listing.limit} offset ${listing.offset}`}`.execute(db)
  const [counted, found] = await Promise.all([count, page])
  return { total: counted.rows[0]?.total ?? 0, items: found?.rows ?? [] }
}

/** Whether the only source, in its only domain, has been cut to the page already. */
const isCut = (sources: readonly Source[]) => sources.length === 1 && sources[0]?.domains.length === 1

function firstOf(query: EntityQuery, source: Source, isOnly: boolean): RawBuilder<unknown> {
  const { reach, listing } = query
  const table = sql.table(`${reach.type}s`)
  const order = sql`order by ${listingOrder(`${reach.type}s`, listing)}`
  const [domainId] = source.domains
  if (source.domains.length === 1) {
    const cut =
      isOnly && isCut([source])
        ? sql`limit ${listing.limit} offset ${listing.offset}`
        : sql`limit ${listing.limit + listing.offset}`
    return sql`select ${table}.* ${matching(query, source, sql`= ${domainId}`)} ${order} ${cut}`
  }
  // The order's index begins with the domain: the first of each, and of those the first.
  return sql`
    select ${table}.* from unnest(${[...source.domains]}::uuid[]) as within (id) cross join lateral (
      select ${table}.* ${matching(query, source, sql`= within.id`)} ${order} limit ${listing.limit + listing.offset}
    ) as ${table}`
}

function countOf(query: EntityQuery, source: Source): RawBuilder<unknown> {
  const isUnfiltered =
    query.conditions.length === 0 && contentFilters(`${query.reach.type}s`, query.listing).length === 0
  if (isUnfiltered && source.total !== undefined) return source.total
  return sql`select count(*) ${matching(query, source, sql`= any (${[...source.domains]}::uuid[])`)}`
}

function matching(
  { reach, listing, conditions }: EntityQuery,
  source: Source,
  ofDomain: RawBuilder<unknown>,
  status: Expression<SqlBool> = statusFilter(`${reach.type}s`, listing.status),
): RawBuilder<unknown> {
  const table = `${reach.type}s`
  const all = [
    sql`${sql.ref(`${table}.domain_id`)} ${ofDomain}`,
    status,
    ...contentFilters(table, listing),
    ...conditions,
    ...source.conditions,
  ]
  return sql`from ${sql.table(table)} ${source.join} where ${sql.join(all, sql` and `)}`
}

function sourcesOf(query: EntityQuery): Source[] {
  const { reach } = query
  const sources: Source[] = []
  if (reach.whole.length > 0) sources.push(wholeDomains(query))
  if (reach.partly.length > 0) sources.push(byOwnRoles(query))
  if (reach.parents.length > 0 || reach.ancestors.length > 0) sources.push(byRolesOnGroups(reach))
  return sources
}

function wholeDomains({ reach, listing }: EntityQuery): Source {
  const total = sql<number>`select coalesce(sum(count), 0)::bigint from entity_counts
    where domain_id = any (${[...reach.whole]}::uuid[]) and entity_type = ${reach.type}
      and ${statusFilter('entity_counts', listing.status)}`
  return { domains: reach.whole, join: sql``, conditions: [], total }
}

/** What the user holds a role on that reads. */
function byOwnRoles(query: EntityQuery): Source {
  const { reach, listing } = query
  const table = `${reach.type}s`
  const join = sql`join role_members m on ${holdsOwnRole(reach)}`
  const source = { domains: reach.partly, join, conditions: [], total: undefined }
  if (listing.status !== undefined && listing.status !== 'enabled') return source
  // Roles go when their entity is deleted, so what is not disabled is enabled; and few are disabled.
  const domains = sql`= any (${[...reach.partly]}::uuid[])`
  const all = sql`select coalesce(sum(count), 0)::bigint from reading_counts
    where user_id = ${reach.userId} and entity_type = ${reach.type} and domain_id ${domains}`
  const disabled = sql`select count(*) ${matching(query, source, domains, statusFilter(table, 'disabled'))}`
  const total =
    listing.status === undefined ? sql<number>`${all}` : sql<number>`select (${all}) - (${disabled})`
  return { ...source, total }
}

const holdsOwnRole = ({ userId, type }: Reach) => sql<SqlBool>`
  m.user_id = ${userId} and m.entity_type = ${type} and m.domain_id = ${sql.ref(`${type}s.domain_id`)}
  and m.entity_id = ${sql.ref(`${type}s.id`)} and m.reads`

/** What stands in groups on which the user holds a role that reads it, and was not found by a role of its own. */
function byRolesOnGroups(reach: Reach): Source {
  const ancestors = sql`${[...reach.ancestors]}::uuid[]`
  const isBelow = (path: RawBuilder<unknown>) =>
    // The first is what the index on paths can do, the second leaves the group itself out.
    sql<SqlBool>`${path} && ${ancestors} and trim_array(${path}, 1) && ${ancestors}`
  const isInGroup =
    reach.type === 'group'
      ? isBelow(sql.ref('groups.path'))
      : sql<SqlBool>`${sql.ref(`${reach.type}s.parent_group_id`)} = any (array(
          select unnest(${[...reach.parents]}::uuid[])
          union
          select g.id from groups g where ${isBelow(sql.ref('g.path'))}))`
  const hasNoOwnRole = sql<SqlBool>`not exists (select from role_members m where ${holdsOwnRole(reach)})`
  return { domains: reach.partly, join: sql``, conditions: [isInGroup, hasNoOwnRole], total: undefined }
}
