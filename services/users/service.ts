import { randomUUID } from 'node:crypto'
import type { Db, Trx } from '../../platform/db/connect.ts'
import type { Attempts } from '../../platform/attempts.ts'
import type { Page } from '../../platform/db/listing.ts'
import { Forbidden, InvalidInput, NotFound, Unauthenticated } from '../../platform/errors.ts'
import type { Policy, Tokens } from '../auth/service.ts'
import type { Principal, TokenPair } from '../auth/types.ts'
import type { Journal } from '../journal/service.ts'
import { listUsers, searchUsers } from './listing.ts'
import type { UserListing, UserSearch } from './listing.ts'
import { checkPassword, hashPassword } from './passwords.ts'
import * as repository from './repository.ts'
import type { NewUser, User } from './types.ts'

export type { UserListing, UserSearch } from './listing.ts'
export type Users = ReturnType<typeof createUsers>

export interface SignupRules {
  /** Anyone may sign up; otherwise a superadmin alone makes accounts. */
  readonly isOpen: boolean
  /** Whoever signs up may ask to be superadmin (contract D18). */
  readonly isAdminOpen: boolean
}

export interface UsersParts {
  readonly db: Db
  readonly journal: Journal
  readonly policy: Policy
  readonly tokens: Tokens
  readonly attempts: Attempts
  readonly signup: SignupRules
}

/** Accounts: making them, signing in, finding people. What changes them stands in accounts.ts. */
export function createUsers({ db, journal, policy, tokens, attempts, signup }: UsersParts) {
  async function find(id: string): Promise<User> {
    const user = await repository.findUser(db, id)
    if (!user) throw new NotFound()
    return user
  }

  async function insert(trx: Trx, user: repository.InsertUser, actorId: string): Promise<User> {
    const inserted = await repository.insertUser(trx, user)
    await journal.record(trx, {
      operation: 'user.create',
      domainId: null,
      entityType: 'user',
      entityId: user.id,
      actorId,
      attributes: { username: user.username, role: user.role, status: user.status },
    })
    return inserted
  }

  return {
    /**
     * Makes an account. Role and status other than the ordinary ones count from a superadmin alone.
     *
     * @throws {Forbidden} signing up is closed
     * @throws {UsernameTaken} @throws {EmailTaken}
     */
    async create(principal: Principal | undefined, input: NewUser): Promise<User> {
      if (principal) policy.requireScope(principal, 'users', 'create')
      const isSuperadmin = principal?.isSuperadmin ?? false
      if (!signup.isOpen && !isSuperadmin) throw new Forbidden('not authorized to perform admin action')
      const role = isSuperadmin || signup.isAdminOpen ? (input.role ?? 'user') : 'user'
      const status = isSuperadmin ? (input.status ?? 'enabled') : 'enabled'
      const user = await prepare(input, { role, status })
      return db.transaction().execute((trx) => insert(trx, user, principal?.userId ?? user.id))
    },

    /** Makes the first superadmin of a new installation; `undefined` when there is one. */
    async createFirstSuperadmin(input: NewUser): Promise<User | undefined> {
      if (await repository.hasSuperadmin(db)) return undefined
      const user = await prepare(input, { role: 'admin', status: 'enabled' })
      return db.transaction().execute(async (trx) => {
        // Two processes that start on an empty database make one admin between them.
        await repository.lockSuperadmins(trx)
        if (await repository.hasSuperadmin(trx)) return undefined
        return insert(trx, user, user.id)
      })
    },

    /**
     * Signs in.
     *
     * @param identity username or e-mail
     * @param address where the attempt comes from
     * @throws {Unauthenticated} for every reason alike, after the same work
     * @throws {RateLimited} too many failures for this name, whether there is such an account or not, or from this address
     */
    async signIn(
      { identity, password, description }: { identity: string; password: string; description: string },
      address: string,
    ): Promise<TokenPair> {
      const userId = await attempts.guard({ purpose: 'sign-in', account: identity, address }, async () => {
        const login = await repository.findLogin(db, identity)
        const isRight = await checkPassword(login?.passwordHash, password)
        if (!login || !isRight) throw new Unauthenticated('invalid credentials')
        return login.id
      })
      return tokens.issue(userId, description)
    },

    /** The user's own record. */
    async profile(principal: Principal): Promise<User> {
      policy.requireScope(principal, 'users', 'view_profile', principal.userId)
      return find(principal.userId)
    },

    /**
     * A user as any signed-in user may see one; how much of it is shown is the caller's to say with {@link seesAll}.
     *
     * @throws {NotFound}
     */
    async get(principal: Principal, id: string): Promise<User> {
      policy.requireScope(principal, 'users', 'view', id)
      return find(id)
    },

    /** Everybody for a superadmin; for others themselves and those with whom they share a domain (contract D12). */
    async list(principal: Principal, listing: UserListing): Promise<Page<User>> {
      policy.requireScope(principal, 'users', 'list')
      return listUsers(db, principal, listing)
    },

    /**
     * Enabled users that match; superadmins are found by superadmins alone (contract 3).
     *
     * @throws {InvalidInput} it says nothing of whom it is for
     */
    async search(principal: Principal, search: UserSearch): Promise<Page<User>> {
      policy.requireScope(principal, 'users', 'search')
      const { username, id, email, firstName, lastName } = search
      if ([username, id, email, firstName, lastName].every((field) => field === undefined)) {
        throw new InvalidInput('one of username, first_name, last_name, email and id is needed')
      }
      return searchUsers(db, principal, search)
    },
  }
}

/** Hashes the password, which takes tens of milliseconds: before the transaction, not in it. */
async function prepare(
  input: NewUser,
  granted: Pick<User, 'role' | 'status'>,
): Promise<repository.InsertUser> {
  const { password, ...rest } = input
  return { ...rest, ...granted, id: randomUUID(), passwordHash: await hashPassword(password) }
}

/** Whether the caller sees the whole record: on oneself, and superadmins on everybody (contract 3). */
export function seesAll(principal: Principal, user: User): boolean {
  return principal.isSuperadmin || principal.userId === user.id
}
