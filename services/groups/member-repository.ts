import { sql } from 'kysely'
import type { Expression, Selectable, SqlBool } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'
import { contains, listingFilters, selectPage } from '../../platform/db/listing.ts'
import type { Listing, Page } from '../../platform/db/listing.ts'
import type { GroupsTable, UsersTable } from '../../platform/db/tables.ts'
import { toGroup } from './repository.ts'
import type { Group, GroupMember } from './types.ts'

export interface GroupMemberListing extends Listing {
  /** Username, or e-mail of whom the caller sees it. */
  readonly identity: string | undefined
}

/** @param seenBy whose own e-mail is shown; `undefined` for somebody who sees them all */
export async function listGroupMembers(
  db: Db,
  groupId: string,
  seenBy: string | undefined,
  listing: GroupMemberListing,
): Promise<Page<GroupMember>> {
  const { name, identity, ...rest } = listing
  const conditions: Expression<SqlBool>[] = [
    sql`users.id in (select m.user_id from role_members m where m.entity_type = 'group' and m.entity_id = ${groupId})`,
    ...listingFilters('users', { ...rest, name: undefined }),
  ]
  // As in lists of users: who is deleted is there for superadmins alone.
  if (seenBy !== undefined) conditions.push(sql`users.status <> 'deleted'`)
  if (name !== undefined) conditions.push(sql`first_name || ' ' || last_name ilike ${contains(name)}`)
  if (identity !== undefined) {
    const isVisible = seenBy === undefined ? sql`true` : sql`users.id = ${seenBy}`
    const lower = identity.toLowerCase()
    conditions.push(sql`(lower(username) = ${lower} or (email = ${lower} and ${isVisible}))`)
  }
  const order = listing.order === 'name' ? 'first_name' : listing.order
  const page = await selectPage<Selectable<UsersTable>>(db, 'users', conditions, { ...listing, order })
  return {
    total: page.total,
    items: page.items.map((row) => ({
      id: row.id,
      firstName: row.first_name,
      lastName: row.last_name,
      username: row.username,
      email: seenBy === undefined || seenBy === row.id ? row.email : undefined,
      tags: row.tags,
      metadata: row.metadata,
      status: row.status,
      createdAt: row.created_at,
      updatedAt: row.updated_at,
    })),
  }
}

export interface MembershipListing extends Listing {
  readonly parentId: string | undefined
}

/**
 * The groups on which the user holds a role.
 *
 * @param visible which groups the caller may see
 */
export async function listMemberships(
  db: Db,
  userId: string,
  visible: Expression<SqlBool>,
  listing: MembershipListing,
): Promise<Page<Group>> {
  const conditions: Expression<SqlBool>[] = [
    sql`groups.id in (select m.entity_id from role_members m where m.entity_type = 'group' and m.user_id = ${userId})`,
    visible,
    ...listingFilters('groups', listing),
  ]
  if (listing.parentId !== undefined) conditions.push(sql`groups.parent_id = ${listing.parentId}`)
  const page = await selectPage<Selectable<GroupsTable>>(db, 'groups', conditions, listing)
  return { total: page.total, items: page.items.map(toGroup) }
}
