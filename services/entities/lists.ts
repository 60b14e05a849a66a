import { sql } from 'kysely'
import type { Expression, SqlBool } from 'kysely'
import type { Page } from '../../platform/db/listing.ts'
import { Forbidden } from '../../platform/errors.ts'
import { UnknownAction } from '../auth/errors.ts'
import { AVAILABLE_ACTIONS, grants, isClosestWay, isGranted } from '../auth/service.ts'
import type { Policy } from '../auth/service.ts'
import type { Access, ContainedType, Principal, Reach } from '../auth/types.ts'
import type { AccessFilter, Entity, EntityListing } from './types.ts'

/** What a list may show, to the caller or as another user would see it. */
export interface View {
  readonly principal: Principal
  readonly viewer: Principal
  readonly reach: Reach
  readonly conditions: readonly Expression<SqlBool>[]
}

/**
 * Opens a list: demands that the caller belongs to its domain, and finds out what it may show.
 *
 * @throws {Forbidden} not a member of the domain, or it asks for somebody else's view without being entitled to it
 * @throws {UnknownAction}
 */
export async function openList(
  policy: Policy,
  principal: Principal,
  type: ContainedType,
  { domainId, access, seenBy }: Pick<EntityListing, 'domainId' | 'access' | 'seenBy'>,
): Promise<View> {
  if (domainId !== undefined) await policy.requireMember(principal, `domain.list_${type}s`, domainId)
  const known = new Set(AVAILABLE_ACTIONS[type])
  for (const action of access.actions ?? []) if (!known.has(action)) throw new UnknownAction(action)

  const { viewer, isOpen } =
    seenBy === undefined
      ? { viewer: principal, isOpen: true }
      : await policy.findViewer(principal, seenBy.userId, domainId)
  if (!isOpen && !seenBy?.orShared) throw new Forbidden('not authorized to perform admin action')
  const reach = await policy.findReach(viewer, type, domainId)
  const conditions = accessConditions(viewer, type, access)
  if (!isOpen) conditions.push(isGranted(principal.userId, type, 'read'))
  const inScope = policy.whereScoped(principal, type)
  if (inScope) conditions.push(inScope)
  return { principal, viewer, reach, conditions }
}

function accessConditions(
  viewer: Principal,
  type: ContainedType,
  { actions, accessType, roleId, roleName }: AccessFilter,
): Expression<SqlBool>[] {
  const { userId, isSuperadmin } = viewer
  const conditions: Expression<SqlBool>[] = []
  if (!isSuperadmin) {
    for (const action of actions ?? []) conditions.push(isGranted(userId, type, action))
  }
  if (accessType !== undefined) conditions.push(isClosestWay(userId, type, accessType))
  if (roleId !== undefined || roleName !== undefined) {
    conditions.push(isGranted(userId, type, 'read', { role: { roleId, roleName } }))
  }
  return conditions
}

/**
 * Adds to each item of a page through which roles it is seen.
 *
 * @param hide makes of an item what is shown to those who may not update it
 */
export async function withAccess<T extends Entity>(
  policy: Policy,
  { principal, viewer, reach }: View,
  page: Page<T>,
  hide: (item: T) => T,
): Promise<Page<T>> {
  const { type } = reach
  const ids = page.items.map((item) => item.id)
  const seen = await policy.findAccess(viewer.userId, type, ids)
  const own = viewer === principal ? seen : await policy.findAccess(principal.userId, type, ids)
  const items = page.items.map((item) => {
    const shown = mayUpdate(policy, principal, type, item, own.get(item.id)) ? item : hide(item)
    return { ...shown, access: seen.get(item.id) ?? [] }
  })
  return { total: page.total, items }
}

/** Whether the caller, who has access through these roles, may update the entity and so see its private part. */
export function mayUpdate(
  policy: Policy,
  principal: Principal,
  type: ContainedType,
  { id, domainId }: Pick<Entity, 'id' | 'domainId'>,
  access: readonly Access[] | undefined,
): boolean {
  const isGranted = principal.isSuperadmin || (access ?? []).some((one) => grants(type, one, 'update'))
  return isGranted && policy.isInScope(principal, `${type}.update`, id, domainId)
}

/** A condition that keeps groups whose parent the viewer does not see: the roots of what he sees. */
export function isVisibleRoot({ userId, isSuperadmin }: Principal): Expression<SqlBool> {
  const isAlone = sql<SqlBool>`groups.parent_id is null`
  if (isSuperadmin) return isAlone
  return sql<SqlBool>`(${isAlone} or not exists (
    select from groups p where p.id = groups.parent_id and ${isGranted(userId, 'group', 'read', { alias: 'p' })}))`
}
