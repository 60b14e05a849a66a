import { sql } from 'kysely'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { AVAILABLE_ACTIONS, inheritedActions } from './actions.ts'
import type { Access, ContainedType, EntityType } from './types.ts'

/**
 * The roles through which a user has access to each of the entities, the closest first. A role elsewhere counts when it
 * grants something here.
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
    select e.id as "entityId", r.id as "roleId", r.name as "roleName",
      array(select a.action from role_actions a where a.role_id = r.id order by a.action) as actions,
      way.type as "accessType", case when way.type <> 'direct' then m.entity_id end as "providerId",
      way.path as "providerPath"
    from entities e
    cross join lateral (
      select 'direct' as type, e.type as on_type, e.id as on_id, null as path, 0 as distance
      union all
      select case when g.id = e.parent_id then 'direct_group' else 'indirect_group' end, 'group', g.id,
        array_to_string(g.path, '.'), 21 - cardinality(g.path)
      from groups g where g.id = any (e.above)
      union all
      select 'domain', 'domain', e.domain_id, null, 30
    ) as way
    join role_members m on m.user_id = ${userId} and m.entity_type = way.on_type and m.entity_id = way.on_id
    join roles r on r.id = m.role_id
    where e.type = ${type} and e.id = any (${[...ids]}::uuid[])
    order by way.distance`.execute(db)
  const found = new Map<string, Access[]>()
  for (const { entityId, ...access } of rows) {
    if (!AVAILABLE_ACTIONS[type].some((action) => grants(type, access, action))) continue
    const ofEntity = found.get(entityId)
    if (ofEntity) ofEntity.push(access)
    else found.set(entityId, [access])
  }
  return found
}

/** Whether this role, from where it is held, grants the action on an entity of the type. */
export function grants(type: ContainedType, access: Access, action: string): boolean {
  const { onParent, onAbove, onDomain } = inheritedActions(type, action)
  const word = { direct: action, direct_group: onParent, indirect_group: onAbove, domain: onDomain }
  const needed = word[access.accessType]
  return needed !== undefined && access.actions.includes(needed)
}

/** Takes away all roles on an entity that is no more. */
export async function deleteRolesOn(trx: Trx, type: EntityType, id: string): Promise<void> {
  await trx.deleteFrom('roles').where('entity_type', '=', type).where('entity_id', '=', id).execute()
}
