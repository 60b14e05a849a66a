import type { Db, Trx } from '../../platform/db/connect.ts'
import { NotFound } from '../../platform/errors.ts'
import type { Journal } from '../journal/service.ts'
import { addMembers, lockDomain, removeMembers, requireUsers } from './membership.ts'
import * as members from './member-repository.ts'
import * as repository from './role-repository.ts'
import type { EntityRef, NewRole, Role } from './types.ts'

/**
 * Changes of roles as steps of a larger transaction, each with its journal entry. They ask no permission, which is for the
 * rule that takes the step, and hold only when nobody else changes memberships in the domain: inside `alone` or `change`.
 */
export type RoleChanges = ReturnType<typeof createRoleChanges>

export function createRoleChanges(db: Db, journal: Journal) {
  return {
    requireUsers,

    /** Runs a transaction that is the only one to change memberships in the domain. @throws {NotFound} no such domain */
    alone: <T>(domainId: string, work: (trx: Trx, domainStatus: string) => Promise<T>): Promise<T> =>
      db.transaction().execute(async (trx) => work(trx, await lockDomain(trx, domainId))),

    /** {@link alone} for a change of one role, in which it is written down who made it. @throws {NotFound} no such role */
    async change<T>(
      actorId: string,
      entity: EntityRef,
      roleId: string,
      work: (trx: Trx, role: Role) => Promise<T>,
    ): Promise<T> {
      return this.alone(entity.domainId, async (trx) => {
        await this.get(trx, entity, roleId)
        await repository.touchRole(trx, roleId, actorId)
        // Anew: with its entity it may have gone in between.
        return work(trx, await this.get(trx, entity, roleId))
      })
    },

    /** @throws {NotFound} also for a role of another entity */
    async get(db: Db, entity: EntityRef, roleId: string): Promise<Role> {
      const role = await repository.findRole(db, entity, roleId)
      if (!role) throw new NotFound('entity not found: role')
      return role
    },

    findByName: repository.findRoleByName,

    /** The role that the user holds on the entity itself. */
    findOf: repository.findRoleOf,

    /** Leaves a domain that goes without members. */
    dissolve: members.deleteDomainMembers,

    /** @throws {NotFound} @throws {RoleNameTaken} @throws {UnknownUser} @throws {NotInDomain} @throws {AlreadyInRole} */
    async create(trx: Trx, actorId: string, entity: EntityRef, input: NewRole): Promise<Role> {
      if (!(await members.holdEntity(trx, entity))) throw new NotFound()
      const roleId = repository.newRoleId(entity.type)
      await repository.insertRoles(trx, [{ roleId, entityId: entity.id }], {
        entityType: entity.type,
        domainId: entity.domainId,
        name: input.name,
        isBuiltIn: false,
        actions: input.actions,
        createdBy: actorId,
        memberIds: [],
      })
      const role = await this.get(trx, entity, roleId)
      await addMembers(trx, role, input.memberIds)
      await this.record(trx, actorId, entity, 'add', {
        role_id: roleId,
        role_name: input.name,
        actions: input.actions,
        members: input.memberIds,
      })
      return role
    },

    /** @throws {UnknownUser} @throws {NotInDomain} @throws {AlreadyInRole} */
    async addMembers(trx: Trx, actorId: string, role: Role, userIds: readonly string[]): Promise<void> {
      const added = await addMembers(trx, role, userIds)
      if (added.length > 0) {
        await this.record(trx, actorId, role.entity, 'members.add', { role_id: role.id, members: added })
      }
    },

    /** Takes users out of every role of the entity; who is in none is no error. @throws {LastAdmin} */
    async removeFromAll(
      trx: Trx,
      actorId: string,
      entity: EntityRef,
      userIds: readonly string[],
    ): Promise<void> {
      const removed = await removeMembers(trx, entity, { userIds })
      if (removed.length > 0) {
        await this.record(trx, actorId, entity, 'members.remove_from_all_roles', { members: removed })
      }
    },

    /** @param verb of the contract's operation `<entity>.role.<verb>`, section 10 */
    record: (
      trx: Trx,
      actorId: string,
      { type, id, domainId }: EntityRef,
      verb: string,
      attributes: Record<string, unknown>,
    ): Promise<void> =>
      journal.record(trx, {
        operation: `${type}.role.${verb}`,
        domainId,
        entityType: type,
        entityId: id,
        actorId,
        attributes,
      }),
  }
}
