import type { Attempts } from '../../platform/attempts.ts'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { Forbidden, NotFound, Unauthenticated } from '../../platform/errors.ts'
import type { Policy, Tokens } from '../auth/service.ts'
import type { Principal } from '../auth/types.ts'
import type { Journal } from '../journal/service.ts'
import { LastSuperadmin, UserStatusAlready } from './errors.ts'
import { checkPassword, hashPassword } from './passwords.ts'
import * as repository from './repository.ts'
import type { UserChange } from './repository.ts'
import type { User } from './types.ts'

export type Accounts = ReturnType<typeof createAccounts>

export interface AccountsParts {
  readonly db: Db
  readonly journal: Journal
  readonly policy: Policy
  readonly tokens: Tokens
  readonly attempts: Attempts
}

/** Changes of accounts, by their owners and by superadmins (contract 3). */
export function createAccounts({ db, journal, policy, tokens, attempts }: AccountsParts) {
  /** @throws {Forbidden} neither the user nor a superadmin; the same answer whether there is such a user or not */
  function requireSelfOrSuperadmin(principal: Principal, userId: string, operation: string): void {
    policy.requireScope(principal, 'users', operation, userId)
    if (principal.userId !== userId && !principal.isSuperadmin) throw new Forbidden()
  }

  async function record(
    trx: Trx,
    principal: Principal,
    userId: string,
    operation: string,
    attributes: Record<string, unknown>,
  ): Promise<void> {
    await journal.record(trx, {
      operation: `user.${operation}`,
      domainId: null,
      entityType: 'user',
      entityId: userId,
      actorId: principal.userId,
      attributes,
    })
  }

  async function change(
    principal: Principal,
    userId: string,
    operation: string,
    what: UserChange,
    attributes: Record<string, unknown>,
  ): Promise<User> {
    requireSelfOrSuperadmin(principal, userId, operation)
    return db.transaction().execute(async (trx) => {
      const user = await repository.updateUser(trx, userId, what, principal.userId)
      if (!user) throw new NotFound()
      await record(trx, principal, userId, operation, attributes)
      return user
    })
  }

  /**
   * Changes who may come in. Takes turns with everybody else who does, so that two requests at once cannot take the last
   * superadmin away between them.
   */
  async function changeStanding(
    trx: Trx,
    principal: Principal,
    userId: string,
    what: Pick<UserChange, 'role' | 'status'>,
    from: readonly User['status'][],
  ): Promise<User | undefined> {
    await repository.lockSuperadmins(trx)
    const user = await repository.updateUser(trx, userId, what, principal.userId, from)
    if (user && !(await repository.hasEnabledSuperadmin(trx))) throw new LastSuperadmin()
    return user
  }

  return {
    /** @throws {Forbidden} @throws {NotFound} */
    async update(
      principal: Principal,
      userId: string,
      what: Pick<UserChange, 'firstName' | 'lastName' | 'metadata' | 'privateMetadata'>,
    ): Promise<User> {
      const attributes = { first_name: what.firstName, last_name: what.lastName, metadata: what.metadata }
      return change(principal, userId, 'update', what, attributes)
    },

    /** @throws {Forbidden} @throws {NotFound} */
    async updateTags(
      principal: Principal,
      userId: string,
      tags: readonly string[] | undefined,
    ): Promise<User> {
      return change(principal, userId, 'update_tags', tags === undefined ? {} : { tags }, { tags })
    },

    /** @throws {Forbidden} @throws {NotFound} */
    async updatePicture(principal: Principal, userId: string, profilePicture: string | undefined) {
      const what = profilePicture === undefined ? {} : { profilePicture }
      return change(principal, userId, 'update_profile_picture', what, { profile_picture: profilePicture })
    },

    /** @throws {Forbidden} @throws {NotFound} @throws {UsernameTaken} */
    async updateUsername(principal: Principal, userId: string, username: string): Promise<User> {
      return change(principal, userId, 'update_username', { username }, { username })
    },

    /**
     * Gives the user another e-mail address, which nobody has verified yet; the present one changes nothing (contract D19).
     *
     * @throws {Forbidden} @throws {NotFound} @throws {EmailTaken}
     */
    async updateEmail(principal: Principal, userId: string, email: string): Promise<User> {
      requireSelfOrSuperadmin(principal, userId, 'update_email')
      const user = await repository.findUser(db, userId)
      if (!user) throw new NotFound()
      if (user.email === email) return user
      return change(principal, userId, 'update_email', { email, verifiedAt: null }, { email })
    },

    /**
     * @throws {Forbidden} the caller is no superadmin
     * @throws {NotFound} @throws {LastSuperadmin}
     */
    async updateRole(principal: Principal, userId: string, role: User['role']): Promise<User> {
      policy.requireScope(principal, 'users', 'update_role', userId)
      if (!principal.isSuperadmin) throw new Forbidden('not authorized to perform admin action')
      return db.transaction().execute(async (trx) => {
        const user = await changeStanding(trx, principal, userId, { role }, ['enabled', 'disabled'])
        if (!user) throw new NotFound()
        await record(trx, principal, userId, 'update_role', { role })
        return user
      })
    },

    /**
     * Changes the caller's own password, and ends all other sessions: who knew the old one is out.
     *
     * @param address where the request comes from
     * @throws {Unauthenticated} the old one is wrong
     * @throws {RateLimited} it was wrong too often
     */
    async updateSecret(
      principal: Principal,
      { oldPassword, newPassword }: { oldPassword: string; newPassword: string },
      address: string,
    ): Promise<User> {
      const { userId } = principal
      await attempts.guard({ purpose: 'update-secret', account: userId, address }, async () => {
        const isRight = await checkPassword(await repository.findPasswordHash(db, userId), oldPassword)
        if (!isRight) throw new Unauthenticated('invalid credentials')
      })
      const passwordHash = await hashPassword(newPassword)
      return db.transaction().execute(async (trx) => {
        const user = await repository.updateUser(trx, userId, { passwordHash }, userId)
        if (!user) throw new NotFound()
        await tokens.revokeAll(trx, userId, principal.sessionId)
        await record(trx, principal, userId, 'update_secret', {})
        return user
      })
    },

    /**
     * Lets a user in again; superadmins also bring back one who was deleted.
     *
     * @throws {Forbidden} @throws {NotFound} @throws {UserStatusAlready}
     * @throws {UsernameTaken} @throws {EmailTaken} by somebody else since the deletion (contract D39)
     */
    async enable(principal: Principal, userId: string): Promise<User> {
      requireSelfOrSuperadmin(principal, userId, 'enable')
      return db.transaction().execute(async (trx) => {
        const user = await changeStanding(trx, principal, userId, { status: 'enabled' }, [
          'disabled',
          'deleted',
        ])
        if (!user) throw (await repository.hasUser(trx, userId)) ? new UserStatusAlready() : new NotFound()
        await record(trx, principal, userId, 'enable', {})
        return user
      })
    },

    /**
     * Locks a user out, at once and everywhere (contract D34).
     *
     * @throws {Forbidden} @throws {NotFound} @throws {UserStatusAlready} @throws {LastSuperadmin}
     */
    async disable(principal: Principal, userId: string): Promise<User> {
      requireSelfOrSuperadmin(principal, userId, 'disable')
      return db.transaction().execute(async (trx) => {
        const user = await changeStanding(trx, principal, userId, { status: 'disabled' }, ['enabled'])
        if (!user) {
          throw (await repository.findUser(trx, userId)) ? new UserStatusAlready() : new NotFound()
        }
        await tokens.revokeAll(trx, userId)
        await record(trx, principal, userId, 'disable', {})
        return user
      })
    },

    /**
     * Marks a user as deleted: locked out, and username and e-mail are free at once (contract D39).
     *
     * @throws {Forbidden} @throws {NotFound} @throws {LastSuperadmin}
     */
    async remove(principal: Principal, userId: string): Promise<void> {
      requireSelfOrSuperadmin(principal, userId, 'delete')
      await db.transaction().execute(async (trx) => {
        const gone = await changeStanding(trx, principal, userId, { status: 'deleted' }, [
          'enabled',
          'disabled',
        ])
        if (!gone) throw new NotFound()
        await tokens.revokeAll(trx, userId)
        await record(trx, principal, userId, 'delete', {})
      })
    },
  }
}
