import type { Attempts } from '../../platform/attempts.ts'
import type { Background } from '../../platform/background.ts'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { InvalidInput, NotFound, Unauthenticated } from '../../platform/errors.ts'
import type { Mailer } from '../../platform/mail.ts'
import type { OneTimeTokens, Policy, Tokens } from '../auth/service.ts'
import type { Principal } from '../auth/types.ts'
import type { Journal } from '../journal/service.ts'
import { AlreadyVerified } from './errors.ts'
import type { Links } from './links.ts'
import { recoveryMail, verificationMail } from './mails.ts'
import { hashPassword } from './passwords.ts'
import * as repository from './repository.ts'
import type { User } from './types.ts'

const REFUSAL = 'invalid recovery token'

export type Recovery = ReturnType<typeof createRecovery>

export interface RecoveryParts {
  readonly db: Db
  readonly journal: Journal
  readonly policy: Policy
  readonly tokens: Tokens
  readonly oneTime: OneTimeTokens
  readonly attempts: Attempts
  readonly mailer: Mailer
  readonly background: Background
  readonly links: Links
}

/** What is done by mail: proving that an e-mail address is one's own, and getting back in without the password (contract 3). */
export function createRecovery(parts: RecoveryParts) {
  const { db, journal, policy, tokens, oneTime, attempts, mailer, background, links } = parts

  async function record(trx: Trx, userId: string, operation: string): Promise<void> {
    await journal.record(trx, {
      operation: `user.${operation}`,
      domainId: null,
      entityType: 'user',
      entityId: userId,
      // With a token out of a mail nobody is signed in, but who holds it is the user.
      actorId: userId,
    })
  }

  async function mailRecovery(email: string, origin: string | undefined): Promise<void> {
    const user = await repository.findByEmail(db, email)
    if (!user) return
    const token = await db.transaction().execute(async (trx) => {
      await record(trx, user.id, 'send_password_reset')
      return oneTime.issue(trx, 'recovery', { userId: user.id, email })
    })
    await mailer.send(recoveryMail(user, token, links.recovery(token, origin)))
  }

  async function mailVerification(user: User): Promise<void> {
    const { id: userId, email } = user
    const token = await db.transaction().execute(async (trx) => {
      await record(trx, userId, 'send_verification')
      return oneTime.issue(trx, 'verification', { userId, email })
    })
    await mailer.send(verificationMail(user, links.verification(token)))
  }

  return {
    /**
     * Mails a link to set a new password, if there is such an account. Nothing of that is waited for, so neither answer nor
     * time tells.
     *
     * @param origin where the person came from; the link leads there if that is a place of ours
     * @param address where the request comes from
     * @throws {RateLimited} too many for this e-mail address, account or not, or from this address
     */
    requestReset(email: string, origin: string | undefined, address: string): void {
      const attempt = { purpose: 'reset-request', account: email, address }
      attempts.check(attempt)
      attempts.count(attempt)
      background.run('password reset mail', () => mailRecovery(email, origin))
    },

    /**
     * Sets a new password with the token out of the mail, and ends all sessions.
     *
     * @throws {Unauthenticated} none of our tokens, used, too old, or of a user who may not come in
     * @throws {RateLimited} too many of these from the address
     */
    async reset(token: string, password: string, address: string): Promise<void> {
      await attempts.guard({ purpose: 'reset', address }, async () => {
        // A stranger's guess costs us no hash, and no transaction waits for one.
        if (!(await oneTime.holds(db, 'recovery', token))) throw new Unauthenticated(REFUSAL)
        const passwordHash = await hashPassword(password)
        await db.transaction().execute(async (trx) => {
          const holder = await oneTime.use(trx, 'recovery', token)
          const user =
            holder && (await repository.updateUser(trx, holder.userId, { passwordHash }, null, ['enabled']))
          // A mailbox that was the user's when the mail went out, and is not any more.
          if (!user || user.email !== holder?.email) throw new Unauthenticated(REFUSAL)
          await tokens.revokeAll(trx, user.id)
          await record(trx, user.id, 'reset_secret')
        })
      })
    },

    /**
     * Mails the caller a link that proves the e-mail address.
     *
     * @throws {AlreadyVerified} @throws {RateLimited}
     */
    async sendVerification(principal: Principal, address: string): Promise<void> {
      policy.requireScope(principal, 'users', 'send_verification', principal.userId)
      const user = await repository.findUser(db, principal.userId)
      if (!user) throw new NotFound()
      if (user.verifiedAt) throw new AlreadyVerified()
      const attempt = { purpose: 'send-verification', account: user.id, address }
      attempts.check(attempt)
      attempts.count(attempt)
      background.run('verification mail', () => mailVerification(user))
    },

    /**
     * Takes the token out of the mail as proof that the address is the user's.
     *
     * @throws {InvalidInput} none of our tokens, used, too old, or for an address that is not the user's any more
     * @throws {RateLimited} too many of these from the address
     */
    async verify(token: string, address: string): Promise<void> {
      const attempt = { purpose: 'verify', address }
      attempts.check(attempt)
      const isVerified = await db.transaction().execute(async (trx) => {
        const holder = await oneTime.use(trx, 'verification', token)
        const user = holder && (await repository.findUser(trx, holder.userId))
        if (!user || user.email !== holder?.email || user.status !== 'enabled') return false
        await repository.updateUser(trx, user.id, { verifiedAt: new Date() }, null)
        await record(trx, user.id, 'verify_email')
        return true
      })
      if (isVerified) return
      attempts.count(attempt)
      throw new InvalidInput('token: unknown, used or too old')
    },
  }
}
