import type { Db, Trx } from '../../platform/db/connect.ts'
import { NotFound } from '../../platform/errors.ts'
import { AlreadyInRole, LastAdmin, NotInDomain, UnknownUser } from './errors.ts'
import * as repository from './member-repository.ts'
import type { MemberSelection } from './member-repository.ts'
import type { EntityRef, Role } from './types.ts'

/**
 * Who is in which role, and what must hold of it: nobody has two roles on one entity, whoever has one inside a domain
 * belongs to the domain, and a domain keeps an admin. Each function wants {@link lockDomain} held by its transaction, so
 * that two requests at once cannot break together what neither would break alone.
 */

/**
 * Waits for its turn to change memberships in the domain.
 *
 * @returns the domain's status
 * @throws {NotFound} the domain went in the meantime
 */
export async function lockDomain(trx: Trx, domainId: string): Promise<string> {
  const status = await repository.lockDomain(trx, domainId)
  if (status === undefined) throw new NotFound()
  return status
}

/** @throws {UnknownUser} one that is not there, or was deleted */
export async function requireUsers(db: Db, userIds: readonly string[]): Promise<void> {
  const existing = new Set(await repository.listExistingUsers(db, userIds))
  for (const userId of userIds) if (!existing.has(userId)) throw new UnknownUser(userId)
}

/**
 * Makes the users members of the role; those who are already stay.
 *
 * @returns who is new
 * @throws {UnknownUser} @throws {NotInDomain} @throws {AlreadyInRole} in another one on the entity
 */
export async function addMembers(trx: Trx, role: Role, userIds: readonly string[]): Promise<string[]> {
  if (userIds.length === 0) return []
  const { entity } = role
  await requireUsers(trx, userIds)
  if (entity.type !== 'domain') {
    const domain = { type: 'domain', id: entity.domainId } as const
    const inDomain = await repository.listRoleHolders(trx, domain, userIds)
    const members = new Set(inDomain.map((holder) => holder.userId))
    for (const userId of userIds) if (!members.has(userId)) throw new NotInDomain(userId)
  }
  const holders = await repository.listRoleHolders(trx, entity, userIds)
  const elsewhere = holders.find((holder) => holder.roleId !== role.id)
  if (elsewhere) throw new AlreadyInRole(elsewhere.userId)
  const known = new Set(holders.map((holder) => holder.userId))
  const added = userIds.filter((userId) => !known.has(userId))
  await repository.insertMembers(trx, role, added)
  return added
}

/**
 * Takes users out of roles of the entity. Who leaves a domain leaves everything in it (contract A.4).
 *
 * @returns who was in one
 * @throws {LastAdmin} nobody would be left in the domain's built-in role
 */
export async function removeMembers(
  trx: Trx,
  entity: EntityRef,
  selection: MemberSelection,
): Promise<string[]> {
  const removed = await repository.deleteMembers(trx, entity, selection)
  const userIds = removed.map((member) => member.userId)
  if (entity.type === 'domain' && removed.length > 0) {
    const admin = await repository.countBuiltInMembers(trx, entity)
    if (admin?.members === 0 && removed.some((member) => member.roleId === admin.roleId))
      throw new LastAdmin()
    await repository.deleteMembersInDomain(trx, entity.domainId, userIds)
  }
  return userIds
}
