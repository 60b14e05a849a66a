import { randomUUID } from 'node:crypto'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { Forbidden, NotFound, Unauthenticated } from '../../platform/errors.ts'
import type { Tokens } from '../auth/service.ts'
import type { Principal, TokenPair } from '../auth/types.ts'
import type { Journal } from '../journal/service.ts'
import { checkPassword, hashPassword } from './passwords.ts'
import * as repository from './repository.ts'
import type { NewUser, User } from './types.ts'

export type Users = ReturnType<typeof createUsers>

export interface SignupRules {
  /** Anyone may sign up; otherwise a superadmin alone makes accounts. */
  readonly isOpen: boolean
  /** Whoever signs up may ask to be superadmin (contract D18). */
  readonly isAdminOpen: boolean
}

export function createUsers(parts: { db: Db; journal: Journal; tokens: Tokens; signup: SignupRules }) {
  const { db, journal, tokens, signup } = parts

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
        await repository.lockFirstSuperadmin(trx)
        if (await repository.hasSuperadmin(trx)) return undefined
        return insert(trx, user, user.id)
      })
    },

    /**
     * Signs in.
     *
     * @param identity username or e-mail
     * @throws {Unauthenticated} for every reason alike, after the same work
     */
    async signIn(identity: string, password: string, description: string): Promise<TokenPair> {
      const login = await repository.findLogin(db, identity)
      const isRight = await checkPassword(login?.passwordHash, password)
      if (!login || !isRight) throw new Unauthenticated('invalid credentials')
      return tokens.issue(login.id, description)
    },

    /** The user's own record. */
    async profile(principal: Principal): Promise<User> {
      return this.get(principal, principal.userId)
    },

    /** The rights of an enabled user, for adapters that have checked the token before; `undefined` when there is none. */
    async findPrincipal(userId: string): Promise<Principal | undefined> {
      const user = await repository.findUser(db, userId)
      if (user?.status !== 'enabled') return undefined
      return { userId, isSuperadmin: user.role === 'admin' }
    },

    /**
     * A user as any signed-in user may see one; how much of it is shown is the caller's to say with {@link seesAll}.
     *
     * @throws {NotFound}
     */
    async get(_principal: Principal, id: string): Promise<User> {
      const user = await repository.findUser(db, id)
      if (!user) throw new NotFound()
      return user
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
