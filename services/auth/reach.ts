import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'
import { inheritedActions } from './actions.ts'
import { isDomainAdmin } from './repository.ts'
import { scopedEntities } from './scopes.ts'
import type { AccessType, ContainedType, Principal, Reach, RoleSelection } from './types.ts'

/**
 * Finds out what a list may show, once, so that the list's own statement holds only what matters to this user. The rules are
 * those of `findStandings` (contract A.2, A.3).
 *
 * @param domainId `undefined` for all domains
 */
export async function findReach(
  db: Db,
  { userId, isSuperadmin }: Principal,
  type: ContainedType,
  domainId: string | undefined,
): Promise<Reach> {
  const ofDomain = domainId === undefined ? sql`` : sql`and d.id = ${domainId}`
  if (isSuperadmin) {
    const { rows } = await sql<{ id: string }>`
      select d.id from domains d where d.status <> 'deleted' ${ofDomain}`.execute(db)
    return { userId, type, whole: rows.map((row) => row.id), partly: [], parents: [], ancestors: [] }
  }
  const { onParent, onAbove, onDomain } = inheritedActions(type, 'read')
  const groups = (action: string | undefined) => sql`array(
    select m.entity_id from role_members m join role_actions a on a.role_id = m.role_id
    where m.user_id = ${userId} and m.entity_type = 'group' and a.action = ${action ?? null}
      and m.domain_id in (select id from open))`
  const { rows } = await sql<Pick<Reach, 'whole' | 'partly' | 'parents' | 'ancestors'>>`
    with open as materialized (
      select d.id, exists (select from role_actions a where a.role_id = m.role_id and a.action = ${onDomain}) as is_whole
      from role_members m join domains d on d.id = m.entity_id
      where m.user_id = ${userId} and m.entity_type = 'domain' ${ofDomain}
        and (d.status = 'enabled' or (d.status = 'disabled' and ${isDomainAdmin(userId, sql.ref('d.id'))}))
    )
    select array(select id from open where is_whole) as whole, array(select id from open where not is_whole) as partly,
      ${groups(onParent)} as parents, ${groups(onAbove)} as ancestors`.execute(db)
  const found = rows[0] ?? { whole: [], partly: [], parents: [], ancestors: [] }
  return { userId, type, ...found }
}

/** Whether the user is superadmin. */
export async function isPlatformAdmin(db: Db, userId: string): Promise<boolean> {
  const row = await db
    .selectFrom('users')
    .select('id')
    .where('id', '=', userId)
    .where('role', '=', 'admin')
    .where('status', '=', 'enabled')
    .executeTakeFirst()
  return row !== undefined
}

/**
 * A condition on the rows of `clients`, `channels` or `groups`: those that the caller's token may list, or do `operation` with.
 * A token that is good for everything has none.
 */
export function whereScoped(
  { scopes }: Principal,
  type: ContainedType,
  operation = 'list',
): RawBuilder<boolean> | undefined {
  if (scopes === undefined) return undefined
  const table = `${type}s` as const
  const { domainIds, entities } = scopedEntities(scopes, table, operation)
  const viaDomain = scopedEntities(scopes, 'domains', `${operation}_${table}`)
  const whole = [...domainIds, ...viaDomain.domainIds, ...viaDomain.entities.map((entity) => entity.domainId)]
  const column = (name: string) => sql.ref(`${table}.${name}`)
  return sql<boolean>`(
    ${column('domain_id')} = any (${whole}::uuid[])
    or exists (
      select from unnest(${entities.map((e) => e.entityId)}::uuid[], ${entities.map((e) => e.domainId)}::uuid[]) s (id, domain_id)
      where s.id = ${column('id')} and s.domain_id = ${column('domain_id')}))`
}

const WAYS: readonly AccessType[] = ['direct', 'direct_group', 'indirect_group', 'domain']

/**
 * A condition on a row of `clients`, `channels` or `groups`: a role of the user grants the action on it (contract A.2). The
 * state of the domain is not looked at.
 *
 * @param alias what the statement calls the table
 */
export function isGranted(
  userId: string,
  type: ContainedType,
  action: string,
  { alias = `${type}s`, ways = WAYS, role = {} }: IsGrantedOptions = {},
): RawBuilder<boolean> {
  const { onParent, onAbove, onDomain } = inheritedActions(type, action)
  const column = (name: string) => sql.ref(`${alias}.${name}`)
  const parent = column(type === 'group' ? 'parent_id' : 'parent_group_id')
  const { roleId, roleName } = role
  const meant = sql`${roleId === undefined ? sql`` : sql`and m.role_id = ${roleId}`}
    ${roleName === undefined ? sql`` : sql`and exists (select from roles r where r.id = m.role_id and r.name = ${roleName})`}`
  const held = (on: string, ids: RawBuilder<unknown>, by: string | undefined) => sql<boolean>`exists (
    select from role_members m join role_actions a on a.role_id = m.role_id
    where m.user_id = ${userId} and m.entity_type = ${on} and m.entity_id = ${ids} and a.action = ${by ?? null} ${meant})`
  const above =
    type === 'group'
      ? sql`any (trim_array(${column('path')}, 1))`
      : sql`any (array(select unnest(g.path) from groups g where g.id = ${parent}))`
  const by: Record<AccessType, () => RawBuilder<boolean>> = {
    direct: () => held(type, sql`${column('id')}`, action),
    direct_group: () => held('group', sql`${parent}`, onParent),
    indirect_group: () => held('group', sql`${above} and m.entity_id <> ${parent}`, onAbove),
    domain: () => held('domain', sql`${column('domain_id')}`, onDomain),
  }
  return sql<boolean>`(${sql.join(
    ways.map((way) => by[way]()),
    sql` or `,
  )})`
}

export interface IsGrantedOptions {
  readonly alias?: string
  readonly ways?: readonly AccessType[]
  readonly role?: RoleSelection
}

/** A condition as {@link isGranted}: this is the closest way in which the user may read. */
export function isClosestWay(userId: string, type: ContainedType, way: AccessType): RawBuilder<boolean> {
  const closer = WAYS.slice(0, WAYS.indexOf(way))
  const here = isGranted(userId, type, 'read', { ways: [way] })
  return closer.length === 0
    ? here
    : sql<boolean>`(${here} and not ${isGranted(userId, type, 'read', { ways: closer })})`
}
