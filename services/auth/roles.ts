import type { Db } from '../../platform/db/connect.ts'
import type { Page } from '../../platform/db/listing.ts'
import type { Journal } from '../journal/service.ts'
import { AVAILABLE_ACTIONS, DOMAIN_ADMIN } from './actions.ts'
import { BuiltInRole, UnknownAction } from './errors.ts'
import { removeMembers } from './membership.ts'
import type { Policy } from './policy.ts'
import { createRoleChanges } from './role-changes.ts'
import type { RoleChanges } from './role-changes.ts'
import { createRoleMembers } from './role-members.ts'
import * as repository from './role-repository.ts'
import type { RoleListing } from './role-repository.ts'
import type { EntityRef, EntityType, NewRole, Principal, Role } from './types.ts'

export type Roles = ReturnType<typeof createRoles>

/** The roles of domains, groups, clients and channels: one set of rules for all four (contract 8). */
export function createRoles({ db, journal, policy }: { db: Db; journal: Journal; policy: Policy }) {
  const changes: RoleChanges = createRoleChanges(db, journal)

  return {
    /** For rules of other services, in their transactions. */
    changes,
    ...createRoleMembers({ db, policy, changes }),

    /** What a role on an entity of this type can hold. @throws {Forbidden} the caller is not of the domain, if one is named */
    async listAvailableActions(
      principal: Principal,
      type: EntityType,
      domainId?: string,
    ): Promise<readonly string[]> {
      if (domainId !== undefined) await policy.requireMember(principal, 'domain.view', domainId)
      return AVAILABLE_ACTIONS[type]
    },

    /**
     * Makes a role, with its members. Giving it members takes the permission for that as well.
     *
     * @throws {Forbidden} @throws {NotFound} @throws {UnknownAction} @throws {RoleNameTaken}
     * @throws {UnknownUser} @throws {NotInDomain} @throws {AlreadyInRole}
     */
    async create(principal: Principal, entity: EntityRef, input: NewRole): Promise<Role> {
      const { type, id, domainId } = entity
      await policy.require(principal, `${type}.role_add`, id, domainId)
      if (input.memberIds.length > 0) {
        await policy.require(principal, `${type}.role_add_members`, id, domainId)
      }
      requireKnown(type, input.actions)
      return changes.alone(entity.domainId, (trx) => changes.create(trx, principal.userId, entity, input))
    },

    /** @throws {Forbidden} @throws {NotFound} */
    async list(principal: Principal, entity: EntityRef, listing: RoleListing): Promise<Page<Role>> {
      await policy.require(principal, `${entity.type}.role_retrieve_all`, entity.id, entity.domainId)
      return repository.listRoles(db, entity, listing)
    },

    /** @throws {Forbidden} @throws {NotFound} also for a role of another entity */
    async get(principal: Principal, entity: EntityRef, roleId: string): Promise<Role> {
      await policy.require(principal, `${entity.type}.role_retrieve`, entity.id, entity.domainId)
      return changes.get(db, entity, roleId)
    },

    /** @throws {Forbidden} @throws {NotFound} @throws {RoleNameTaken} */
    async rename(principal: Principal, entity: EntityRef, roleId: string, name: string): Promise<Role> {
      await policy.require(principal, `${entity.type}.role_update`, entity.id, entity.domainId)
      return changes.change(principal.userId, entity, roleId, async (trx) => {
        await repository.renameRole(trx, roleId, name)
        await changes.record(trx, principal.userId, entity, 'update', { role_id: roleId, role_name: name })
        return changes.get(trx, entity, roleId)
      })
    },

    /**
     * Deletes a role; its members hold nothing on the entity any more.
     *
     * @throws {Forbidden} @throws {NotFound}
     * @throws {BuiltInRole} the role `admin` that came with a domain stays
     */
    async remove(principal: Principal, entity: EntityRef, roleId: string): Promise<void> {
      await policy.require(principal, `${entity.type}.role_remove`, entity.id, entity.domainId)
      await changes.alone(entity.domainId, async (trx) => {
        const role = await changes.get(trx, entity, roleId)
        if (isDomainAdmin(role)) throw new BuiltInRole()
        const members = await removeMembers(trx, entity, { roleId })
        await repository.deleteRole(trx, roleId)
        const attributes = { role_id: roleId, role_name: role.name, members }
        await changes.record(trx, principal.userId, entity, 'remove', attributes)
      })
    },

    /** Gives the role actions; those that it holds already are no error. @throws {UnknownAction} @throws {Forbidden} @throws {NotFound} */
    async addActions(
      principal: Principal,
      entity: EntityRef,
      roleId: string,
      actions: readonly string[],
    ): Promise<void> {
      await policy.require(principal, `${entity.type}.role_add_actions`, entity.id, entity.domainId)
      requireKnown(entity.type, actions)
      await changes.change(principal.userId, entity, roleId, async (trx) => {
        await repository.insertActions(trx, [roleId], actions)
        await changes.record(trx, principal.userId, entity, 'actions.add', { role_id: roleId, actions })
      })
    },

    /** @throws {Forbidden} @throws {NotFound} */
    async listActions(principal: Principal, entity: EntityRef, roleId: string): Promise<readonly string[]> {
      await policy.require(principal, `${entity.type}.role_list_actions`, entity.id, entity.domainId)
      return (await changes.get(db, entity, roleId)).actions
    },

    /**
     * Takes actions from the role; those that it does not hold are no error.
     *
     * @throws {UnknownAction} @throws {Forbidden} @throws {NotFound}
     * @throws {BuiltInRole} the role `admin` that came with a domain keeps what makes an admin
     */
    async removeActions(
      principal: Principal,
      entity: EntityRef,
      roleId: string,
      actions: readonly string[],
    ): Promise<void> {
      await policy.require(principal, `${entity.type}.role_remove_actions`, entity.id, entity.domainId)
      requireKnown(entity.type, actions)
      await changes.change(principal.userId, entity, roleId, async (trx, role) => {
        if (isDomainAdmin(role) && actions.some((action) => DOMAIN_ADMIN.includes(action))) {
          throw new BuiltInRole()
        }
        await repository.deleteActions(trx, roleId, actions)
        await changes.record(trx, principal.userId, entity, 'actions.remove', { role_id: roleId, actions })
      })
    },

    /** @throws {Forbidden} @throws {NotFound} @throws {BuiltInRole} as {@link removeActions} */
    async removeAllActions(principal: Principal, entity: EntityRef, roleId: string): Promise<void> {
      await policy.require(principal, `${entity.type}.role_remove_all_actions`, entity.id, entity.domainId)
      await changes.change(principal.userId, entity, roleId, async (trx, role) => {
        if (isDomainAdmin(role)) throw new BuiltInRole()
        await repository.deleteActions(trx, roleId, undefined)
        await changes.record(trx, principal.userId, entity, 'actions.remove_all', { role_id: roleId })
      })
    },
  }
}

/** Whether it is the role that a domain's admins are in: without it, nobody could set the domain's roles right again. */
const isDomainAdmin = ({ isBuiltIn, entity }: Role) => isBuiltIn && entity.type === 'domain'

/** @throws {UnknownAction} */
function requireKnown(type: EntityType, actions: readonly string[]): void {
  const unknown = actions.find((action) => !AVAILABLE_ACTIONS[type].includes(action))
  if (unknown !== undefined) throw new UnknownAction(unknown)
}
