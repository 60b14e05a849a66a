import { sql } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'
import { DOMAIN_ADMIN, inheritedActions } from './actions.ts'
import type { EntityType } from './types.ts'

/** What the database says about a user and an entity; the rules that read it stand in policy.ts. */
export interface Standing {
  readonly entityId: string
  readonly domainId: string
  readonly entityStatus: string
  readonly domainStatus: string
  readonly isMember: boolean
  readonly isDomainAdmin: boolean
  readonly isGranted: boolean
}

/**
 * The one statement behind every permission (contract A.2): where the user holds the action on the entity, on its parent
 * group, on a group above that, or on the domain.
 *
 * @returns one standing an entity; none for an entity that does not exist or was deleted
 */
export async function findStandings(
  db: Db,
  userId: string,
  type: EntityType,
  ids: readonly string[],
  action: string,
): Promise<Standing[]> {
  const inherited = inheritedActions(type, action)
  const { rows } = await sql<Standing>`
    select e.id as "entityId", e.domain_id as "domainId", e.status as "entityStatus", d.status as "domainStatus",
      exists (select from role_members m where m.user_id = ${userId} and m.domain_id = e.domain_id
        and m.entity_type = 'domain') as "isMember",
      ${isDomainAdmin(userId, sql.ref('e.domain_id'))} as "isDomainAdmin",
      exists (
        select from role_members m join role_actions a on a.role_id = m.role_id
        where m.user_id = ${userId} and (
          (m.entity_type = e.type and m.entity_id = e.id and a.action = ${action})
          or (m.entity_type = 'group' and m.entity_id = e.parent_id and a.action = ${inherited.onParent ?? null})
          or (m.entity_type = 'group' and m.entity_id = any (e.above) and m.entity_id <> e.parent_id
            and a.action = ${inherited.onAbove ?? null})
          or (m.entity_type = 'domain' and m.entity_id = e.domain_id and a.action = ${inherited.onDomain})
        )
      ) as "isGranted"
    from entities e join domains d on d.id = e.domain_id
    where e.type = ${type} and e.id = any (${[...ids]}::uuid[]) and e.status <> 'deleted' and d.status <> 'deleted'
  `.execute(db)
  return rows
}

/** A condition: the user's role in the domain holds all that makes an admin (contract A.2). */
export function isDomainAdmin(userId: string, domainId: ReturnType<typeof sql.ref>) {
  return sql<boolean>`(
    select count(*) = ${DOMAIN_ADMIN.length} from role_members m join role_actions a on a.role_id = m.role_id
    where m.user_id = ${userId} and m.entity_type = 'domain' and m.entity_id = ${domainId}
      and a.action = any (${[...DOMAIN_ADMIN]}::text[]))`
}

/**
 * The domains that the user belongs to, as far as they let the user in (contract A.3).
 *
 * @param action only those on which the user holds it
 */
function enteredDomains(userId: string, action?: string) {
  const held = sql`and exists (select from role_actions a where a.role_id = m.role_id and a.action = ${action})`
  return sql`
    select d.id from role_members m join domains d on d.id = m.entity_id
    where m.user_id = ${userId} and m.entity_type = 'domain' ${action === undefined ? sql`` : held}
      and (d.status = 'enabled' or (d.status = 'disabled' and ${isDomainAdmin(userId, sql.ref('d.id'))}))`
}

/**
 * A condition on a column with ids of domains: those that the user belongs to and that let the user in.
 *
 * @param action only those on which the user holds it
 */
export function whereEntered(userId: string, column: string, action?: string) {
  return sql<boolean>`${sql.ref(column)} in (${enteredDomains(userId, action)})`
}
