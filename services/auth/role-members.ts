import type { Db } from '../../platform/db/connect.ts'
import type { Page } from '../../platform/db/listing.ts'
import { listEntityMembers } from './access-repository.ts'
import type { MemberListing } from './access-repository.ts'
import { listMembers } from './member-repository.ts'
import type { MemberSelection } from './member-repository.ts'
import { removeMembers } from './membership.ts'
import type { Policy } from './policy.ts'
import type { RoleChanges } from './role-changes.ts'
import type { EntityMember, EntityRef, Principal } from './types.ts'

/** Who is in which role, and who has access to what. */
export function createRoleMembers({ db, policy, changes }: { db: Db; policy: Policy; changes: RoleChanges }) {
  async function removeFromRole(
    principal: Principal,
    entity: EntityRef,
    selection: MemberSelection & { readonly roleId: string },
    verb: 'members.remove' | 'members.remove_all',
  ): Promise<void> {
    const { roleId } = selection
    await changes.change(principal.userId, entity, roleId, async (trx) => {
      const members = await removeMembers(trx, entity, selection)
      await changes.record(trx, principal.userId, entity, verb, { role_id: roleId, members })
    })
  }

  return {
    /** @throws {Forbidden} @throws {NotFound} @throws {UnknownUser} @throws {NotInDomain} @throws {AlreadyInRole} */
    async addMembers(
      principal: Principal,
      entity: EntityRef,
      roleId: string,
      userIds: readonly string[],
    ): Promise<void> {
      await policy.require(principal, `${entity.type}.role_add_members`, entity.id, entity.domainId)
      await changes.change(principal.userId, entity, roleId, (trx, role) =>
        changes.addMembers(trx, principal.userId, role, userIds),
      )
    },

    /** @throws {Forbidden} @throws {NotFound} */
    async listMembers(
      principal: Principal,
      entity: EntityRef,
      roleId: string,
      page: { readonly offset: number; readonly limit: number },
    ): Promise<Page<string>> {
      await policy.require(principal, `${entity.type}.role_list_members`, entity.id, entity.domainId)
      await changes.get(db, entity, roleId)
      return listMembers(db, roleId, page)
    },

    /** Takes users out of the role; who is not in it is no error. @throws {LastAdmin} @throws {Forbidden} @throws {NotFound} */
    async removeMembers(
      principal: Principal,
      entity: EntityRef,
      roleId: string,
      userIds: readonly string[],
    ): Promise<void> {
      await policy.require(principal, `${entity.type}.role_remove_members`, entity.id, entity.domainId)
      await removeFromRole(principal, entity, { roleId, userIds }, 'members.remove')
    },

    /** @throws {LastAdmin} @throws {Forbidden} @throws {NotFound} */
    async removeAllMembers(principal: Principal, entity: EntityRef, roleId: string): Promise<void> {
      await policy.require(principal, `${entity.type}.role_remove_all_members`, entity.id, entity.domainId)
      await removeFromRole(principal, entity, { roleId }, 'members.remove_all')
    },

    /** Takes users out of every role of the entity. @throws {LastAdmin} @throws {Forbidden} @throws {NotFound} */
    async removeFromAll(principal: Principal, entity: EntityRef, userIds: readonly string[]): Promise<void> {
      await policy.require(principal, `${entity.type}.role_remove_members`, entity.id, entity.domainId)
      await changes.alone(entity.domainId, (trx) =>
        changes.removeFromAll(trx, principal.userId, entity, userIds),
      )
    },

    /** Everybody with access to the entity, be it from a group above or from the domain, and through which roles. */
    async listEntityMembers(
      principal: Principal,
      entity: EntityRef,
      listing: MemberListing,
    ): Promise<Page<EntityMember>> {
      await policy.require(principal, `${entity.type}.role_list_members`, entity.id, entity.domainId)
      return listEntityMembers(db, entity, listing)
    },
  }
}
