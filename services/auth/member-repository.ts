import { sql } from 'kysely'
import type { Db, Trx } from '../../platform/db/connect.ts'
import type { Page } from '../../platform/db/listing.ts'
import type { EntityRef, Role } from './types.ts'

/**
 * Lets one transaction at a time change who belongs to what in a domain, until it ends. Entities that are created meanwhile
 * do not wait: their foreign key asks for less.
 *
 * @returns the domain's status; `undefined` when there is none
 */
export async function lockDomain(trx: Trx, domainId: string): Promise<string | undefined> {
  const row = await trx
    .selectFrom('domains')
    .select('status')
    .where('id', '=', domainId)
    .where('status', '<>', 'deleted')
    .forNoKeyUpdate()
    .executeTakeFirst()
  return row?.status
}

/**
 * Keeps an entity from being deleted until the transaction ends: what is deleted takes its roles with it, those that are
 * there.
 *
 * @returns whether it is there
 */
export async function holdEntity(trx: Trx, { type, id }: Pick<EntityRef, 'type' | 'id'>): Promise<boolean> {
  const { rows } = await sql`
    select from ${sql.table(`${type}s`)} where id = ${id} and status <> 'deleted' for share`.execute(trx)
  return rows.length > 0
}

/** Which of the ids are users that were not deleted. */
export async function listExistingUsers(db: Db, userIds: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from users where id = any (${[...userIds]}::uuid[]) and status <> 'deleted'`.execute(db)
  return rows.map((row) => row.id)
}

/** The users among these who hold a role on the entity, and which. */
export async function listRoleHolders(
  db: Db,
  entity: Pick<EntityRef, 'type' | 'id'>,
  userIds: readonly string[],
): Promise<{ userId: string; roleId: string }[]> {
  const { rows } = await sql<{ userId: string; roleId: string }>`
    select user_id as "userId", role_id as "roleId" from role_members
    where entity_type = ${entity.type} and entity_id = ${entity.id} and user_id = any (${[...userIds]}::uuid[])`.execute(
    db,
  )
  return rows
}

/** Those who are members of the role already stay. @throws the database's error when one has another role on the entity */
export async function insertMembers(trx: Trx, role: Role, userIds: readonly string[]): Promise<void> {
  const { type, id, domainId } = role.entity
  await sql`
    insert into role_members (role_id, user_id, entity_type, entity_id, domain_id)
    select ${role.id}, user_id, ${type}, ${id}::uuid, ${domainId}::uuid
    from unnest(${[...userIds]}::uuid[]) as user_id`.execute(trx)
}

/** Which of an entity's role members are meant; an absent field means all. */
export interface MemberSelection {
  readonly roleId?: string | undefined
  readonly userIds?: readonly string[] | undefined
}

/** @returns who was removed, and from which role */
export async function deleteMembers(
  trx: Trx,
  entity: EntityRef,
  { roleId, userIds }: MemberSelection,
): Promise<{ userId: string; roleId: string }[]> {
  let query = trx
    .deleteFrom('role_members')
    .where('entity_type', '=', entity.type)
    .where('entity_id', '=', entity.id)
    .returning(['user_id as userId', 'role_id as roleId'])
  if (roleId !== undefined) query = query.where('role_id', '=', roleId)
  if (userIds !== undefined) query = query.where(sql<boolean>`user_id = any (${[...userIds]}::uuid[])`)
  return query.execute()
}

/** Takes the users out of every role on anything in the domain. */
export async function deleteMembersInDomain(
  trx: Trx,
  domainId: string,
  userIds: readonly string[],
): Promise<void> {
  await trx
    .deleteFrom('role_members')
    .where('domain_id', '=', domainId)
    .where(sql<boolean>`user_id = any (${[...userIds]}::uuid[])`)
    .execute()
}

/** Leaves the domain without members; roles inside it count for nothing then. */
export async function deleteDomainMembers(trx: Trx, domainId: string): Promise<void> {
  await trx
    .deleteFrom('role_members')
    .where('entity_type', '=', 'domain')
    .where('entity_id', '=', domainId)
    .execute()
}

/** The entity's built-in role and how many members it has, those who are deleted left out. */
export async function countBuiltInMembers(
  trx: Trx,
  entity: EntityRef,
): Promise<{ roleId: string; members: number } | undefined> {
  const { rows } = await sql<{ roleId: string; members: number }>`
    select r.id as "roleId", (
        select count(*) from role_members m join users u on u.id = m.user_id
        where m.role_id = r.id and u.status <> 'deleted') as members
    from roles r where r.entity_type = ${entity.type} and r.entity_id = ${entity.id} and r.built_in`.execute(
    trx,
  )
  return rows[0]
}

/** The user ids of a role's members, in their order; those who are deleted keep their place for when they are brought back. */
export async function listMembers(
  db: Db,
  roleId: string,
  { offset, limit }: { readonly offset: number; readonly limit: number },
): Promise<Page<string>> {
  const matching = db
    .selectFrom('role_members')
    .innerJoin('users', 'users.id', 'role_members.user_id')
    .where('role_members.role_id', '=', roleId)
    .where('users.status', '<>', 'deleted')
  const [count, rows] = await Promise.all([
    matching.select((eb) => eb.fn.countAll<number>().as('total')).executeTakeFirstOrThrow(),
    matching
      .select('role_members.user_id')
      .orderBy('role_members.user_id')
      .offset(offset)
      .limit(limit)
      .execute(),
  ])
  return { total: count.total, items: rows.map((row) => row.user_id) }
}
