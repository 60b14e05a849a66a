import { sql } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'
import type { Page } from '../../platform/db/listing.ts'
import { OWN_ACTIONS, inheritedActions } from './actions.ts'
import type { Access, AccessType, ContainedType, EntityMember, EntityRef, EntityType } from './types.ts'

/** What members of an entity are ordered by. */
export const MEMBER_ORDERS = [
  'member_id',
  'role_id',
  'role_name',
  'access_type',
  'access_provider_id',
] as const

export interface MemberListing {
  readonly offset: number
  readonly limit: number
  readonly order: (typeof MEMBER_ORDERS)[number]
  readonly dir: 'asc' | 'desc'
  readonly providerId: string | undefined
  readonly accessType: AccessType | undefined
  readonly roleId: string | undefined
  readonly roleName: string | undefined
  /** All held by one role. */
  readonly actions: readonly string[] | undefined
}

/** Every action which, held at that distance, grants something on an entity of the type (contract A.2). */
function reachingActions(type: EntityType, from: 'onParent' | 'onAbove' | 'onDomain'): string[] {
  return OWN_ACTIONS[type].map((action) => inheritedActions(type, action)[from] ?? action)
}

/**
 * The roles through which anybody has access to the entities: `entity_id, user_id, role_id, role_name, access_type, provider_id,
 * provider_path, distance`. A role elsewhere counts when it grants something here.
 */
function accesses(type: EntityType, ids: readonly string[]) {
  const actions = (from: Parameters<typeof reachingActions>[1]) =>
    type === 'domain' ? sql`null::text[]` : sql`${reachingActions(type, from)}::text[]`
  return sql`
    select e.id as entity_id, m.user_id, r.id as role_id, r.name as role_name, way.access_type,
      case when way.access_type <> 'direct' then m.entity_id end as provider_id, way.path as provider_path, way.distance
    from entities e
    cross join lateral (
      select 'direct' as access_type, e.type as on_type, e.id as on_id, null as path, 0 as distance, null::text[] as reaching
      union all
      select 'direct_group', 'group', g.id, array_to_string(g.path, '.'), 1, ${actions('onParent')}
      from groups g where g.id = e.parent_id
      union all
      select 'indirect_group', 'group', g.id, array_to_string(g.path, '.'), 21 - cardinality(g.path), ${actions('onAbove')}
      from groups g where g.id = any (e.above) and g.id <> e.parent_id
      union all
      select 'domain', 'domain', e.domain_id, null, 30, ${actions('onDomain')} where e.type <> 'domain'
    ) as way
    join role_members m on m.entity_type = way.on_type and m.entity_id = way.on_id
    join users u on u.id = m.user_id and u.status <> 'deleted'
    join roles r on r.id = m.role_id
    where e.type = ${type} and e.id = any (${[...ids]}::uuid[]) and (way.reaching is null
      or exists (select from role_actions a where a.role_id = r.id and a.action = any (way.reaching)))`
}

/**
 * The roles through which a user has access to each of the entities, the closest first.
 *
 * @returns nothing for an entity that no role of the user reaches
 */
export async function findAccess(
  db: Db,
  userId: string,
  type: ContainedType,
  ids: readonly string[],
): Promise<Map<string, Access[]>> {
  if (ids.length === 0) return new Map()
  const { rows } = await sql<Access & { entityId: string }>`
    select x.entity_id as "entityId", x.role_id as "roleId", x.role_name as "roleName", x.access_type as "accessType",
      x.provider_id as "providerId", x.provider_path as "providerPath",
      array(select a.action from role_actions a where a.role_id = x.role_id order by a.action) as actions
    from (${accesses(type, ids)}) x where x.user_id = ${userId} order by x.distance`.execute(db)
  const found = new Map<string, Access[]>()
  for (const { entityId, ...access } of rows) {
    const ofEntity = found.get(entityId)
    if (ofEntity) ofEntity.push(access)
    else found.set(entityId, [access])
  }
  return found
}

const ORDER_COLUMNS = {
  member_id: 'user_id',
  role_id: 'role_id',
  role_name: 'role_name',
  access_type: 'access_type',
  access_provider_id: 'provider_id',
} as const satisfies Record<MemberListing['order'], string>

/** A page of those who have access to the entity, each with all the roles that the filters let through. */
export async function listEntityMembers(
  db: Db,
  entity: EntityRef,
  listing: MemberListing,
): Promise<Page<EntityMember>> {
  const conditions = [sql<boolean>`true`]
  const { providerId, accessType, roleId, roleName, actions } = listing
  if (providerId !== undefined) conditions.push(sql`x.provider_id = ${providerId}`)
  if (accessType !== undefined) conditions.push(sql`x.access_type = ${accessType}`)
  if (roleId !== undefined) conditions.push(sql`x.role_id = ${roleId}`)
  if (roleName !== undefined) conditions.push(sql`x.role_name = ${roleName}`)
  if (actions !== undefined) {
    conditions.push(sql`not exists (
      select from unnest(${[...actions]}::text[]) as wanted (action)
      where not exists (select from role_actions a where a.role_id = x.role_id and a.action = wanted.action))`)
  }
  const dir = sql.raw(listing.dir)
  const { rows } = await sql<{ total: number; memberId: string | null; roles: Access[] }>`
    with matching as materialized (
      select x.* from (${accesses(entity.type, [entity.id])}) x where ${sql.join(conditions, sql` and `)}
    ), page as (
      select user_id, min(${sql.ref(ORDER_COLUMNS[listing.order])}::text) as place from matching group by user_id
      order by place ${dir}, user_id ${dir} limit ${listing.limit} offset ${listing.offset}
    )
    select (select count(distinct user_id) from matching) as total, page.user_id as "memberId",
      (select json_agg(json_build_object('roleId', m.role_id, 'roleName', m.role_name, 'accessType', m.access_type,
          'providerId', m.provider_id, 'providerPath', m.provider_path,
          'actions', array(select a.action from role_actions a where a.role_id = m.role_id order by a.action))
        order by m.access_type, m.provider_path, m.role_id)
        from matching m where m.user_id = page.user_id) as roles
    from (values (0)) as always left join page on true
    order by page.place ${dir}, page.user_id ${dir}`.execute(db)
  const items = rows.flatMap(({ memberId, roles }) => (memberId === null ? [] : [{ memberId, roles }]))
  return { total: rows[0]?.total ?? 0, items }
}
