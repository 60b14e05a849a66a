import { sql } from 'kysely'
import type { Db, Trx } from '../../platform/db/connect.ts'
import type { Principal } from './types.ts'

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
export async function findLiveSession(db: Db, sessionId: string): Promise<Principal | undefined> {
  const row = await db
    .selectFrom('sessions')
    .innerJoin('users', 'users.id', 'sessions.user_id')
    .select(['users.id', 'users.role'])
    .where('sessions.id', '=', sessionId)
    .where('sessions.revoked_at', 'is', null)
    .where('users.status', '=', 'enabled')
    .executeTakeFirst()
  return row && { userId: row.id, isSuperadmin: row.role === 'admin' }
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

export async function revokeSession(db: Db, sessionId: string): Promise<void> {
  await db
    .updateTable('sessions')
    .set({ revoked_at: sql<Date>`now()` })
    .where('id', '=', sessionId)
    .where('revoked_at', 'is', null)
    .execute()
}
