import { sql } from 'kysely'
import type { Expression, Selectable, SqlBool } from 'kysely'
import { violates } from '../../platform/db/connect.ts'
import type { Db } from '../../platform/db/connect.ts'
import { listingFilters, selectPage } from '../../platform/db/listing.ts'
import type { Listing, Page } from '../../platform/db/listing.ts'
import type { DomainsTable } from '../../platform/db/tables.ts'
import { IdTaken, RouteTaken } from './errors.ts'
import type { Domain, DomainAsSeen, Membership } from './types.ts'

type Row = Selectable<DomainsTable>
type RowAsSeen = Row & { membership: Membership | null }

function toDomain(row: Row): Domain {
  return {
    id: row.id,
    name: row.name,
    route: row.route,
    tags: row.tags,
    metadata: row.metadata,
    status: row.status,
    createdBy: row.created_by,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    updatedBy: row.updated_by,
  }
}

const toDomainAsSeen = (row: RowAsSeen): DomainAsSeen => ({
  ...toDomain(row),
  membership: row.membership ?? undefined,
})

/** The columns of a domain and, as JSON, the role that the user has in it. */
const columnsAsSeenBy = (userId: string) => sql`domains.*, (
  select json_build_object('roleId', r.id, 'roleName', r.name,
    'actions', (select coalesce(json_agg(a.action order by a.action), '[]') from role_actions a where a.role_id = r.id))
  from role_members m join roles r on r.id = m.role_id
  where m.user_id = ${userId} and m.entity_type = 'domain' and m.entity_id = domains.id) as membership`

/** @throws {RouteTaken} @throws {IdTaken} */
export async function insertDomain(
  db: Db,
  domain: Pick<Domain, 'id' | 'name' | 'route' | 'tags' | 'metadata' | 'createdBy'>,
): Promise<Domain> {
  try {
    const row = await db
      .insertInto('domains')
      .values({
        id: domain.id,
        name: domain.name,
        route: domain.route,
        tags: [...domain.tags],
        metadata: JSON.stringify(domain.metadata),
        created_by: domain.createdBy,
        updated_by: null,
      })
      .returningAll()
      .executeTakeFirstOrThrow()
    return toDomain(row)
  } catch (error) {
    if (violates(error, 'domains_route_key')) throw new RouteTaken({ cause: error })
    if (violates(error, 'domains_pkey')) throw new IdTaken({ cause: error })
    throw error
  }
}

export async function findDomain(db: Db, id: string, seenBy: string): Promise<DomainAsSeen | undefined> {
  const { rows } = await sql<RowAsSeen>`
    select ${columnsAsSeenBy(seenBy)} from domains where id = ${id} and status <> 'deleted'`.execute(db)
  return rows[0] && toDomainAsSeen(rows[0])
}

/** @param route compared without case */
export async function findIdByRoute(db: Db, route: string): Promise<string | undefined> {
  const row = await db
    .selectFrom('domains')
    .select('id')
    .where(sql<string>`lower(route)`, '=', route.toLowerCase())
    .where('status', '<>', 'deleted')
    .executeTakeFirst()
  return row?.id
}

export interface DomainListing extends Listing {
  readonly route: string | undefined
}

/** @param isOwn the user's domains alone; otherwise all */
export async function listDomains(
  db: Db,
  userId: string,
  isOwn: boolean,
  listing: DomainListing,
): Promise<Page<DomainAsSeen>> {
  const conditions: Expression<SqlBool>[] = listingFilters('domains', listing)
  if (listing.route !== undefined) conditions.push(sql`lower(route) = ${listing.route.toLowerCase()}`)
  if (isOwn) {
    conditions.push(sql`domains.id in (
      select m.entity_id from role_members m where m.user_id = ${userId} and m.entity_type = 'domain')`)
  }
  const page = await selectPage<RowAsSeen>(db, 'domains', conditions, listing, columnsAsSeenBy(userId))
  return { total: page.total, items: page.items.map(toDomainAsSeen) }
}
