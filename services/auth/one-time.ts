import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { Db, Trx } from '../../platform/db/connect.ts'
import type { Vault } from '../../platform/vault.ts'

/** How long each is good for, in seconds (contract 1.3). */
const LIFETIME_S = { recovery: 300, verification: 86_400 } as const
export type OneTimePurpose = keyof typeof LIFETIME_S

/** Whom a token was made for, and the address it was sent to. */
export interface OneTimeHolder {
  readonly userId: string
  readonly email: string
}

/**
 * Tokens that are sent by mail and good for one thing, once. They are kept as keyed hashes, a key for each purpose, so a token
 * of one purpose is nothing to the other, nor to anything else.
 */
export type OneTimeTokens = ReturnType<typeof createOneTimeTokens>

export function createOneTimeTokens({ vault }: { vault: Vault }) {
  const hash = (purpose: OneTimePurpose, token: string) => vault.hash(`${purpose} token`, token)

  return {
    /** @returns the token, which is nowhere else to be had */
    async issue(trx: Trx, purpose: OneTimePurpose, holder: OneTimeHolder): Promise<string> {
      const token = randomBytes(32).toString('base64url')
      await trx
        .insertInto('one_time_tokens')
        .values({
          hash: hash(purpose, token),
          purpose,
          user_id: holder.userId,
          email: holder.email,
          expires_at: new Date(Date.now() + LIFETIME_S[purpose] * 1_000),
        })
        .execute()
      return token
    },

    /** Whether {@link use} would take the token now. */
    async holds(db: Db, purpose: OneTimePurpose, token: string): Promise<boolean> {
      const row = await db
        .selectFrom('one_time_tokens')
        .select('user_id')
        .where('hash', '=', hash(purpose, token))
        .where('expires_at', '>', sql<Date>`now()`)
        .executeTakeFirst()
      return row !== undefined
    },

    /** Takes the token and all others that the user has for the purpose; `undefined` when it is none, or too old. */
    async use(trx: Trx, purpose: OneTimePurpose, token: string): Promise<OneTimeHolder | undefined> {
      const row = await trx
        .deleteFrom('one_time_tokens')
        .where('hash', '=', hash(purpose, token))
        .where('purpose', '=', purpose)
        .where('expires_at', '>', sql<Date>`now()`)
        .returning(['user_id', 'email'])
        .executeTakeFirst()
      if (!row) return undefined
      await this.revoke(trx, purpose, row.user_id)
      return { userId: row.user_id, email: row.email }
    },

    /** Takes all tokens that the user has for the purpose. */
    async revoke(trx: Trx, purpose: OneTimePurpose, userId: string): Promise<void> {
      await trx
        .deleteFrom('one_time_tokens')
        .where('user_id', '=', userId)
        .where('purpose', '=', purpose)
        .execute()
    },

    async removeExpired(db: Db): Promise<void> {
      await db
        .deleteFrom('one_time_tokens')
        .where('expires_at', '<', sql<Date>`now()`)
        .execute()
    },
  }
}
