import type { Db, Trx } from '../../platform/db/connect.ts'
import { Forbidden, NotFound } from '../../platform/errors.ts'
import { findAccess } from './access-repository.ts'
import { AVAILABLE_ACTIONS } from './actions.ts'
import { OPERATIONS, deedsOf } from './operations.ts'
import { OutsideDomain } from './errors.ts'
import type { OperationName } from './operations.ts'
import { findReach, isPlatformAdmin, whereScoped } from './reach.ts'
import * as repository from './repository.ts'
import { deleteRolesOn, insertRoles, newRoleId } from './role-repository.ts'
import type { Standing } from './repository.ts'
import { isInScope } from './scopes.ts'
import type { Deed } from './scopes.ts'
import type { ContainedType, EntityType, Principal, Reach } from './types.ts'

/** Decides what a user may do (contract A). Every service method opens with a call of it. */
export type Policy = ReturnType<typeof createPolicy>

/** Whether the domain lets the user in at all (contract A.3). */
function letsIn(principal: Principal, standing: Standing): boolean {
  if (principal.isSuperadmin) return true
  if (!standing.isMember) return false
  return (
    standing.domainStatus === 'enabled' || (standing.domainStatus === 'disabled' && standing.isDomainAdmin)
  )
}

const passes = (principal: Principal, standing: Standing) =>
  letsIn(principal, standing) && (standing.isGranted || principal.isSuperadmin)

function requireInScope(principal: Principal, ...deeds: readonly Deed[]): void {
  if (!isInScope(principal, ...deeds)) throw new Forbidden('failed to authorize PAT')
}

export function createPolicy(db: Db) {
  async function findStanding(principal: Principal, operation: OperationName, id: string) {
    const { on, action } = OPERATIONS[operation]
    const [standing] = await repository.findStandings(db, principal.userId, on, [id], action)
    return standing
  }

  return {
    /**
     * Demands that the user may do this to the entity.
     *
     * @param domainId the domain that the caller named; an entity of another domain counts as missing
     * @throws {NotFound} there is no such entity, told to superadmins and to members of the domain alone
     * @throws {Forbidden} everybody else, and members without the permission
     */
    async require(
      principal: Principal,
      operation: OperationName,
      id: string,
      domainId?: string,
    ): Promise<Standing> {
      const standing = await findStanding(principal, operation, id)
      if (standing && (domainId === undefined || standing.domainId === domainId)) {
        if (!letsIn(principal, standing)) throw new OutsideDomain()
        if (!passes(principal, standing)) throw new Forbidden()
        requireInScope(principal, ...deedsOf(operation, standing.domainId, id))
        return standing
      }
      requireInScope(principal, ...deedsOf(operation, domainId, id))
      if (principal.isSuperadmin) throw new NotFound()
      if (domainId === undefined || OPERATIONS[operation].on === 'domain') throw new OutsideDomain()
      await this.requireEntry(principal, domainId)
      throw new NotFound()
    },

    /**
     * Demands the operation on every one of the entities, all of the domain.
     *
     * @throws {NotFound} one of them is not in the domain
     * @throws {Forbidden} one without the permission
     * @returns what is known of each, in no order
     */
    async requireOnEach(
      principal: Principal,
      operation: OperationName,
      ids: readonly string[],
      domainId: string,
    ): Promise<Standing[]> {
      await this.requireEntry(principal, domainId)
      const { on, action } = OPERATIONS[operation]
      const standings = await repository.findStandings(db, principal.userId, on, ids, action)
      const inDomain = new Map(standings.filter((s) => s.domainId === domainId).map((s) => [s.entityId, s]))
      for (const id of ids) {
        requireInScope(principal, ...deedsOf(operation, domainId, id))
        const standing = inDomain.get(id)
        if (!standing) throw new NotFound(`entity not found: ${on} ${id}`)
        if (!passes(principal, standing)) throw new Forbidden()
      }
      return [...inDomain.values()]
    },

    /**
     * Demands that the user belongs to the domain, with whatever role, and that the domain lets the user in.
     *
     * @throws {Forbidden} not so; also for a domain that does not exist
     */
    async requireMember(principal: Principal, operation: OperationName, domainId: string): Promise<void> {
      await this.requireEntry(principal, domainId)
      requireInScope(principal, ...deedsOf(operation, domainId, domainId))
    },

    /**
     * {@link requireMember} where nothing is done in the domain yet: what is done next is asked for by itself, with the scope
     * that it takes.
     *
     * @throws {Forbidden}
     */
    async requireEntry(principal: Principal, domainId: string): Promise<void> {
      const standing = await findStanding(principal, 'domain.view', domainId)
      if (!standing && principal.isSuperadmin) throw new NotFound()
      if (!standing || !letsIn(principal, standing)) throw new OutsideDomain()
    },

    /** Whether the user is an admin of the domain (contract A.2); superadmins are, whatever has become of it. */
    async administers(principal: Principal, domainId: string): Promise<boolean> {
      if (principal.isSuperadmin) return true
      const standing = await findStanding(principal, 'domain.view', domainId)
      return standing?.isDomainAdmin ?? false
    },

    /** Whether {@link require} would pass; says no, and nothing else, for what does not exist. */
    async allows(principal: Principal, operation: OperationName, id: string): Promise<boolean> {
      const standing = await findStanding(principal, operation, id)
      return (
        standing !== undefined &&
        passes(principal, standing) &&
        isInScope(principal, ...deedsOf(operation, standing.domainId, id))
      )
    },

    /** Whether the caller's token is good for this, roles left aside. */
    isInScope(principal: Principal, operation: OperationName, id: string, domainId: string): boolean {
      return isInScope(principal, ...deedsOf(operation, domainId, id))
    },

    /**
     * Demands that the caller's token is good for an operation that is no question of roles: on users, and on domains as such.
     *
     * @param entityId the user or the domain; absent when it is about none in particular
     * @throws {Forbidden} a personal access token without such a scope
     */
    requireScope(
      principal: Principal,
      entityType: 'users' | 'domains',
      operation: string,
      entityId = '*',
    ): void {
      const domainId = entityType === 'domains' && entityId !== '*' ? entityId : undefined
      requireInScope(principal, { entityType, operation, domainId, entityId })
    },

    /**
     * Demands that something may be put into this group. A group of another domain is refused like one that does not exist
     * (contract 5).
     *
     * @throws {Forbidden}
     */
    async requireParent(
      principal: Principal,
      operation: `group.set_child_${ContainedType}`,
      groupId: string,
      domainId: string,
    ): Promise<void> {
      const standing = await findStanding(principal, operation, groupId)
      if (standing?.domainId !== domainId || !passes(principal, standing)) throw new Forbidden()
      requireInScope(principal, ...deedsOf(operation, domainId, groupId))
    },

    /** What a list of the type may show to the user. @param domainId `undefined` for all domains */
    async findReach(principal: Principal, type: ContainedType, domainId: string | undefined): Promise<Reach> {
      return findReach(db, principal, type, domainId)
    },

    /** A condition that keeps what the caller's token may list; none for a token that is good for everything. */
    whereScoped,

    /**
     * With whose eyes a list is seen that asks for another user's (contract 1.5, D36).
     *
     * @returns `isOpen`: the caller may see it just so, being that user, an admin of the domain, or superadmin
     */
    async findViewer(
      principal: Principal,
      userId: string,
      domainId: string | undefined,
    ): Promise<{ readonly viewer: Principal; readonly isOpen: boolean }> {
      if (userId === principal.userId) return { viewer: principal, isOpen: true }
      const isSuperadmin = principal.isSuperadmin && (await isPlatformAdmin(db, userId))
      const viewer = { userId, isSuperadmin, scopes: principal.scopes }
      if (domainId === undefined) return { viewer, isOpen: principal.isSuperadmin }
      return { viewer, isOpen: await this.administers(principal, domainId) }
    },

    /** The roles through which a user has access to each of the entities, the closest first. */
    async findAccess(userId: string, type: ContainedType, ids: readonly string[]) {
      return findAccess(db, userId, type, ids)
    },

    /** Takes away all roles on an entity that is being deleted. */
    async revokeAll(trx: Trx, type: EntityType, id: string): Promise<void> {
      await deleteRolesOn(trx, type, id)
    },

    /** A condition that keeps the domains which the user belongs to and which let the user in. */
    whereEntered: repository.whereEntered,

    /**
     * Demands that the user may create an entity of the type in the domain, or under a group of it. The right to create
     * under that very group is enough by itself; otherwise it takes the domain's and `set_child` on the group
     * (contract A.1, A.2).
     *
     * @throws {Forbidden} @throws {NotFound} no such parent group in the domain
     */
    async requireCreate(
      principal: Principal,
      type: 'group' | 'client' | 'channel',
      domainId: string,
      parentGroupId: string | undefined,
    ): Promise<void> {
      if (parentGroupId !== undefined) {
        const standing = await findStanding(principal, `group.create_${type}`, parentGroupId)
        if (standing?.domainId === domainId && standing.isGranted && letsIn(principal, standing)) {
          requireInScope(principal, ...deedsOf(`domain.create_${type}`, domainId, domainId))
          requireInScope(principal, ...deedsOf(`group.set_child_${type}`, domainId, parentGroupId))
          return
        }
        await this.require(principal, `group.set_child_${type}`, parentGroupId, domainId)
      }
      await this.require(principal, `domain.create_${type}`, domainId)
    },

    /**
     * Makes the creator member of each new entity's built-in role `admin`, which holds every action of the type
     * (contract A.4).
     */
    async grantAdmin(
      trx: Trx,
      principal: Principal,
      entityType: EntityType,
      entityIds: readonly string[],
      domainId: string,
    ): Promise<void> {
      const roles = entityIds.map((entityId) => ({ roleId: newRoleId(entityType), entityId }))
      await insertRoles(trx, roles, {
        entityType,
        domainId,
        name: 'admin',
        isBuiltIn: true,
        actions: AVAILABLE_ACTIONS[entityType],
        createdBy: principal.userId,
        memberIds: [principal.userId],
      })
    },
  }
}
