import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { Selectable } from 'kysely'
import { violates } from '../../platform/db/connect.ts'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { contains, selectPage } from '../../platform/db/listing.ts'
import type { Listing, Page } from '../../platform/db/listing.ts'
import type { RolesTable } from '../../platform/db/tables.ts'
import { RoleNameTaken } from './errors.ts'
import type { EntityRef, EntityType, NewRoles, Role } from './types.ts'

type Row = Selectable<RolesTable> & { actions: string[] }

const COLUMNS = sql`roles.*, array(
  select a.action from role_actions a where a.role_id = roles.id order by a.action) as actions`

function toRole(row: Row): Role {
  return {
    id: row.id,
    name: row.name,
    entity: { type: row.entity_type, id: row.entity_id, domainId: row.domain_id },
    isBuiltIn: row.built_in,
    actions: row.actions,
    createdBy: row.created_by,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    updatedBy: row.updated_by,
  }
}

/** `<entity type>_<short random id>`; opaque to clients. */
export function newRoleId(entityType: EntityType): string {
  return `${entityType}_${randomBytes(15).toString('base64url')}`
}

/**
 * Makes one role for each entity, all alike: a handful of statements however many entities there are. The members are taken
 * as they come; whether they may be members is for membership.ts to say.
 *
 * @param roles id of each role beside the id of its entity
 * @throws {RoleNameTaken}
 */
export async function insertRoles(
  trx: Trx,
  roles: readonly { readonly roleId: string; readonly entityId: string }[],
  common: NewRoles,
): Promise<void> {
  const roleIds = roles.map((role) => role.roleId)
  const entityIds = roles.map((role) => role.entityId)
  try {
    await sql`
      insert into roles (id, entity_type, entity_id, domain_id, name, built_in, created_by)
      select role_id, ${common.entityType}, entity_id, ${common.domainId}::uuid, ${common.name}, ${common.isBuiltIn},
        ${common.createdBy}::uuid
      from unnest(${roleIds}::text[], ${entityIds}::uuid[]) as r (role_id, entity_id)`.execute(trx)
  } catch (error) {
    if (violates(error, 'roles_name_key')) throw new RoleNameTaken({ cause: error })
    throw error
  }
  await insertActions(trx, roleIds, common.actions)
  await sql`
    insert into role_members (role_id, user_id, entity_type, entity_id, domain_id)
    select role_id, user_id, ${common.entityType}, entity_id, ${common.domainId}::uuid
    from unnest(${roleIds}::text[], ${entityIds}::uuid[]) as r (role_id, entity_id),
      unnest(${[...common.memberIds]}::uuid[]) as user_id`.execute(trx)
}

/** Those that a role already holds stay. */
export async function insertActions(
  trx: Trx,
  roleIds: readonly string[],
  actions: readonly string[],
): Promise<void> {
  await sql`
    insert into role_actions (role_id, action)
    select role_id, action
    from unnest(${[...roleIds]}::text[]) as role_id, unnest(${[...actions]}::text[]) as action
    on conflict do nothing`.execute(trx)
}

/** @param actions `undefined`: all of them */
export async function deleteActions(
  trx: Trx,
  roleId: string,
  actions: readonly string[] | undefined,
): Promise<void> {
  let query = trx.deleteFrom('role_actions').where('role_id', '=', roleId)
  if (actions !== undefined) query = query.where('action', 'in', actions)
  await query.execute()
}

/** A role by its id, as one of this entity alone. */
export async function findRole(db: Db, entity: EntityRef, roleId: string): Promise<Role | undefined> {
  const { rows } = await sql<Row>`
    select ${COLUMNS} from roles
    where id = ${roleId} and entity_type = ${entity.type} and entity_id = ${entity.id}`.execute(db)
  return rows[0] && toRole(rows[0])
}

export async function findRoleByName(db: Db, entity: EntityRef, name: string): Promise<Role | undefined> {
  const { rows } = await sql<Row>`
    select ${COLUMNS} from roles
    where name = ${name} and entity_type = ${entity.type} and entity_id = ${entity.id}`.execute(db)
  return rows[0] && toRole(rows[0])
}

/** The role that the user holds on the entity itself; there is one at the most. */
export async function findRoleOf(db: Db, entity: EntityRef, userId: string): Promise<Role | undefined> {
  const { rows } = await sql<Row>`
    select ${COLUMNS} from role_members m join roles on roles.id = m.role_id
    where m.user_id = ${userId} and m.entity_type = ${entity.type} and m.entity_id = ${entity.id}`.execute(db)
  return rows[0] && toRole(rows[0])
}

export type RoleListing = Pick<Listing, 'offset' | 'limit' | 'order' | 'dir' | 'name'>

export async function listRoles(db: Db, entity: EntityRef, listing: RoleListing): Promise<Page<Role>> {
  const conditions = [sql<boolean>`entity_type = ${entity.type}`, sql<boolean>`entity_id = ${entity.id}`]
  if (listing.name !== undefined) conditions.push(sql<boolean>`name ilike ${contains(listing.name)}`)
  const page = await selectPage<Row>(db, 'roles', conditions, { ...listing, onlyTotal: false }, COLUMNS)
  return { total: page.total, items: page.items.map(toRole) }
}

/** @throws {RoleNameTaken} */
export async function renameRole(trx: Trx, roleId: string, name: string): Promise<void> {
  try {
    await trx.updateTable('roles').set({ name }).where('id', '=', roleId).execute()
  } catch (error) {
    if (violates(error, 'roles_name_key')) throw new RoleNameTaken({ cause: error })
    throw error
  }
}

/** Writes down who changes the role, and now; it cannot go then before the transaction ends. */
export async function touchRole(trx: Trx, roleId: string, updatedBy: string): Promise<void> {
  await trx
    .updateTable('roles')
    .set({ updated_at: new Date(), updated_by: updatedBy })
    .where('id', '=', roleId)
    .execute()
}

export async function deleteRole(trx: Trx, roleId: string): Promise<void> {
  await trx.deleteFrom('roles').where('id', '=', roleId).execute()
}

/** Takes away all roles on an entity that is no more. */
export async function deleteRolesOn(trx: Trx, type: EntityType, id: string): Promise<void> {
  await trx.deleteFrom('roles').where('entity_type', '=', type).where('entity_id', '=', id).execute()
}
