import { sql } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'
import type { Page } from '../../platform/db/listing.ts'
import { OWN_ACTIONS, inheritedActions } from './actions.ts'
import type { Access, AccessType, EntityMember, EntityRef, EntityType } from './types.ts'

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
 * The roles through which anybody has access to the entity: `user_id, role_id, role_name, access_type, provider_id,
 * provider_path`. A role elsewhere counts when it grants something here.
 */
function accesses({ type, id }: EntityRef) {
  return sql`
    select m.user_id, r.id as role_id, r.name as role_name, p.access_type, p.provider_id, p.provider_path
    from (
      select e.type as entity_type, e.id as entity_id, 'direct' as access_type, null::uuid as provider_id,
        null::text as provider_path, null::text[] as reaching
      from entities e where e.type = ${type} and e.id = ${id}
      union all
      select 'group', g.id, 'direct_group', g.id, array_to_string(g.path, '.'), ${reachingActions(type, 'onParent')}::text[]
      from entities e join groups g on g.id = e.parent_id where e.type = ${type} and e.id = ${id}
      union all
      select 'group', g.id, 'indirect_group', g.id, array_to_string(g.path, '.'), ${reachingActions(type, 'onAbove')}::text[]
      from entities e join groups g on g.id = any (e.above) and g.id <> e.parent_id
      where e.type = ${type} and e.id = ${id}
      union all
      select 'domain', e.domain_id, 'domain', e.domain_id, null, ${reachingActions(type, 'onDomain')}::text[]
      from entities e where e.type = ${type} and e.id = ${id} and e.type <> 'domain'
    ) p
    join role_members m on m.entity_type = p.entity_type and m.entity_id = p.entity_id
    join users u on u.id = m.user_id and u.status <> 'deleted'
    join roles r on r.id = m.role_id
    where p.reaching is null
      or exists (select from role_actions a where a.role_id = r.id and a.action = any (p.reaching))`
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
      select x.* from (${accesses(entity)}) x where ${sql.join(conditions, sql` and `)}
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
