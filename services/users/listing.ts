import { sql } from 'kysely'
import type { Expression, Selectable, SqlBool } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'
import { contains, listingFilters, selectPage } from '../../platform/db/listing.ts'
import type { Listing, Page } from '../../platform/db/listing.ts'
import type { UsersTable } from '../../platform/db/tables.ts'
import type { Principal } from '../auth/types.ts'
import { toUser } from './repository.ts'
import type { User } from './types.ts'

/** What lists of users filter by beside what all lists do; `name` is part of the first or the last name. */
export interface UserListing extends Listing {
  readonly username: string | undefined
  readonly firstName: string | undefined
  readonly lastName: string | undefined
  readonly email: string | undefined
  /** Username or e-mail. */
  readonly identity: string | undefined
  readonly isVerified: boolean | undefined
}

/** A search: every field that is given must hold. */
export interface UserSearch extends Pick<Listing, 'offset' | 'limit' | 'order' | 'dir'> {
  readonly id: string | undefined
  readonly username: string | undefined
  readonly firstName: string | undefined
  readonly lastName: string | undefined
  readonly email: string | undefined
}

const holds = (column: string, value: string | undefined): Expression<SqlBool>[] =>
  value === undefined ? [] : [sql`${sql.ref(`users.${column}`)} ilike ${contains(value)}`]

/**
 * E-mail addresses are for superadmins to read. Others may ask for one that they know, whole: with a part of it they could
 * guess it letter by letter.
 */
function matchesEmail(principal: Principal, value: string): Expression<SqlBool> {
  return principal.isSuperadmin
    ? sql`users.email ilike ${contains(value)}`
    : sql`users.email = ${value.toLowerCase()}`
}

// For the same reason others do not see in which order the addresses stand.
const orderFor = (principal: Principal, order: string) =>
  order === 'email' && !principal.isSuperadmin ? 'username' : order

/** Those who share a domain with the user, the user included (contract D12). */
function sharesDomain({ userId }: Principal): Expression<SqlBool> {
  return sql`users.status <> 'deleted' and (users.id = ${userId} or users.id in (
    select other.user_id from role_members other
    where other.entity_type = 'domain' and other.entity_id = any (array(
      select m.entity_id from role_members m join domains d on d.id = m.entity_id
      where m.user_id = ${userId} and m.entity_type = 'domain' and d.status in ('enabled', 'disabled')))))`
}

export async function listUsers(db: Db, principal: Principal, listing: UserListing): Promise<Page<User>> {
  const { name, username, firstName, lastName, email, identity, isVerified } = listing
  const conditions = [
    ...listingFilters('users', { ...listing, name: undefined }),
    ...holds('username', username),
    ...holds('first_name', firstName),
    ...holds('last_name', lastName),
  ]
  if (!principal.isSuperadmin) conditions.push(sharesDomain(principal))
  if (name !== undefined) {
    const pattern = contains(name)
    conditions.push(sql`(users.first_name ilike ${pattern} or users.last_name ilike ${pattern})`)
  }
  if (email !== undefined) conditions.push(matchesEmail(principal, email))
  if (identity !== undefined) {
    conditions.push(sql`(users.username ilike ${contains(identity)} or ${matchesEmail(principal, identity)})`)
  }
  if (isVerified !== undefined) conditions.push(sql`(users.verified_at is not null) = ${isVerified}`)
  return select(db, conditions, { ...listing, order: orderFor(principal, listing.order) })
}

export async function searchUsers(db: Db, principal: Principal, search: UserSearch): Promise<Page<User>> {
  const { id, username, firstName, lastName, email } = search
  const conditions: Expression<SqlBool>[] = [
    sql`users.status = 'enabled'`,
    ...holds('username', username),
    ...holds('first_name', firstName),
    ...holds('last_name', lastName),
  ]
  if (!principal.isSuperadmin) conditions.push(sql`(users.role <> 'admin' or users.id = ${principal.userId})`)
  if (id !== undefined) conditions.push(sql`users.id::text like ${contains(id.toLowerCase())}`)
  if (email !== undefined) conditions.push(matchesEmail(principal, email))
  return select(db, conditions, { ...search, onlyTotal: false, order: orderFor(principal, search.order) })
}

async function select(
  db: Db,
  conditions: readonly Expression<SqlBool>[],
  listing: Parameters<typeof selectPage>[3],
): Promise<Page<User>> {
  const page = await selectPage<Selectable<UsersTable>>(db, 'users', conditions, listing)
  return { total: page.total, items: page.items.map(toUser) }
}
