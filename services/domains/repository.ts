import { sql } from 'kysely'
import type { Expression, Selectable, SqlBool } from 'kysely'
import { violates } from '../../platform/db/connect.ts'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { listingFilters, selectPage } from '../../platform/db/listing.ts'
import type { Listing, Page } from '../../platform/db/listing.ts'
import type { DomainsTable } from '../../platform/db/tables.ts'
import { IdTaken, RouteTaken } from '../entities/errors.ts'
import type { Domain, DomainAsSeen, DomainChange, Membership } from './types.ts'

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
    messageRetentionDays: row.message_retention_days,
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
  domain: Pick<Domain, 'id' | 'name' | 'route' | 'tags' | 'metadata' | 'messageRetentionDays' | 'createdBy'>,
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
        message_retention_days: domain.messageRetentionDays,
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

/** @returns `undefined` when there is no such domain any more */
export async function updateDomain(
  trx: Trx,
  id: string,
  change: DomainChange & { readonly status?: Domain['status'] },
  updatedBy: string,
): Promise<Domain | undefined> {
  const row = await trx
    .updateTable('domains')
    .set({
      ...(change.name === undefined ? {} : { name: change.name }),
      ...(change.tags === undefined ? {} : { tags: [...change.tags] }),
      ...(change.metadata === undefined ? {} : { metadata: JSON.stringify(change.metadata) }),
      ...(change.messageRetentionDays === undefined
        ? {}
        : { message_retention_days: change.messageRetentionDays }),
      ...(change.status === undefined ? {} : { status: change.status }),
      updated_at: new Date(),
      updated_by: updatedBy,
    })
    .where('id', '=', id)
    .where('status', '<>', 'deleted')
    .returningAll()
    .executeTakeFirst()
  return row && toDomain(row)
}

export interface DomainListing extends Listing {
  readonly route: string | undefined
  /** What the role is and holds through which the user sees a domain. */
  readonly roleId: string | undefined
  readonly roleName: string | undefined
  readonly actions: readonly string[] | undefined
}

/** @param visible which domains the user may see */
export async function listDomains(
  db: Db,
  userId: string,
  visible: Expression<SqlBool> | undefined,
  listing: DomainListing,
): Promise<Page<DomainAsSeen>> {
  const conditions: Expression<SqlBool>[] = listingFilters('domains', listing)
  if (visible !== undefined) conditions.push(visible)
  if (listing.route !== undefined) conditions.push(sql`lower(route) = ${listing.route.toLowerCase()}`)
  const role = roleFilters(listing)
  if (role.length > 0) {
    conditions.push(sql`exists (
      select from role_members m join roles r on r.id = m.role_id
      where m.user_id = ${userId} and m.entity_type = 'domain' and m.entity_id = domains.id
        and ${sql.join(role, sql` and `)})`)
  }
  const page = await selectPage<RowAsSeen>(db, 'domains', conditions, listing, columnsAsSeenBy(userId))
  return { total: page.total, items: page.items.map(toDomainAsSeen) }
}

function roleFilters({ roleId, roleName, actions }: DomainListing): Expression<SqlBool>[] {
  const filters: Expression<SqlBool>[] = []
  if (roleId !== undefined) filters.push(sql`r.id = ${roleId}`)
  if (roleName !== undefined) filters.push(sql`r.name = ${roleName}`)
  if (actions !== undefined) {
    filters.push(sql`${[...actions]}::text[] <@ array(
      select a.action from role_actions a where a.role_id = r.id)`)
  }
  return filters
}
