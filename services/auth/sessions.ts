import { sql } from 'kysely'
import type { Db, Trx } from '../../platform/db/connect.ts'

/** A user as a token's bearer is looked up. */
export interface Bearer {
  readonly userId: string
  readonly isSuperadmin: boolean
  readonly isVerified: boolean
}

export async function insertSession(
  trx: Trx,
  session: { id: string; userId: string; description: string },
): Promise<void> {
  await trx
    .insertInto('sessions')
    .values({ id: session.id, user_id: session.userId, description: session.description, revoked_at: null })
    .execute()
}

/** The user behind a session that was not revoked, if the user may still come in. Asked on every request, so that both act at once. */
export async function findLiveSession(db: Db, sessionId: string): Promise<Bearer | undefined> {
  const row = await db
    .selectFrom('sessions')
    .innerJoin('users', 'users.id', 'sessions.user_id')
    .select(['users.id', 'users.role', 'users.verified_at'])
    .where('sessions.id', '=', sessionId)
    .where('sessions.revoked_at', 'is', null)
    .where('users.status', '=', 'enabled')
    .executeTakeFirst()
  return row && { userId: row.id, isSuperadmin: row.role === 'admin', isVerified: row.verified_at !== null }
}

/** A user who may come in. */
export async function findBearer(db: Db, userId: string): Promise<Bearer | undefined> {
  const row = await db
    .selectFrom('users')
    .select(['id', 'role', 'verified_at'])
    .where('id', '=', userId)
    .where('status', '=', 'enabled')
    .executeTakeFirst()
  return row && { userId: row.id, isSuperadmin: row.role === 'admin', isVerified: row.verified_at !== null }
}

/** The user's sessions that can go on: not revoked, and with a refresh token that is still good. */
export async function listSessions(db: Db, userId: string): Promise<{ id: string; description: string }[]> {
  return db
    .selectFrom('sessions')
    .select(['id', 'description'])
    .where('user_id', '=', userId)
    .where('revoked_at', 'is', null)
    .where((eb) =>
      eb.exists(
        eb
          .selectFrom('refresh_tokens')
          .select('hash')
          .whereRef('refresh_tokens.session_id', '=', 'sessions.id')
          .where('used_at', 'is', null)
          .where('expires_at', '>', sql<Date>`now()`),
      ),
    )
    .orderBy('created_at', 'desc')
    .orderBy('id')
    .execute()
}

export async function insertRefreshToken(
  trx: Trx,
  token: { hash: Buffer; sessionId: string; expiresAt: Date },
): Promise<void> {
  await trx
    .insertInto('refresh_tokens')
    .values({ hash: token.hash, session_id: token.sessionId, expires_at: token.expiresAt, used_at: null })
    .execute()
}

/** Takes the token out of circulation and says what it was; of two requests with the same token one sees it unused. */
export async function useRefreshToken(trx: Trx, hash: Buffer) {
  const token = await trx
    .selectFrom('refresh_tokens')
    .selectAll()
    .where('hash', '=', hash)
    .forUpdate()
    .executeTakeFirst()
  if (!token) return undefined
  await trx.updateTable('refresh_tokens').set({ used_at: new Date() }).where('hash', '=', hash).execute()
  return {
    sessionId: token.session_id,
    wasUsed: token.used_at !== null,
    hasExpired: token.expires_at <= new Date(),
  }
}

/** @returns whose session it was; `undefined` when there was nothing to revoke */
export async function revokeSession(db: Db, sessionId: string): Promise<string | undefined> {
  const row = await db
    .updateTable('sessions')
    .set({ revoked_at: sql<Date>`now()` })
    .where('id', '=', sessionId)
    .where('revoked_at', 'is', null)
    .returning('user_id')
    .executeTakeFirst()
  return row?.user_id
}

/** @param except the session that stays, if one does */
export async function revokeSessionsOf(trx: Trx, userId: string, except: string | undefined): Promise<void> {
  await trx
    .updateTable('sessions')
    .set({ revoked_at: sql<Date>`now()` })
    .where('user_id', '=', userId)
    .where('revoked_at', 'is', null)
    .$if(except !== undefined, (query) => query.where('id', '<>', except ?? ''))
    .execute()
}

/**
 * Removes refresh tokens that are past use, and the sessions left without any.
 *
 * @param graceS seconds that an access token may live longer than the refresh token it came with
 */
export async function removeExpiredSessions(db: Db, graceS: number): Promise<void> {
  await sql`delete from refresh_tokens where expires_at < now() - make_interval(secs => ${graceS})`.execute(
    db,
  )
  await sql`delete from sessions s
    where not exists (select from refresh_tokens t where t.session_id = s.id)`.execute(db)
}
