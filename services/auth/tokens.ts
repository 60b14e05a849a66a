import { randomBytes, randomUUID } from 'node:crypto'
import { SignJWT, jwtVerify } from 'jose'
import type { Db } from '../../platform/db/connect.ts'
import { Unauthenticated } from '../../platform/errors.ts'
import type { Vault } from '../../platform/vault.ts'
import { SIGNING_ALGORITHM, loadSigningKey } from './keys.ts'
import * as sessions from './sessions.ts'
import type { Principal, TokenPair } from './types.ts'

const ISSUER = 'sluice'
const REFRESH_PREFIX = 'srt_'
const REFRESH_PURPOSE = 'refresh token'

export interface TokenLifetimes {
  readonly accessTokenS: number
  readonly refreshTokenS: number
}

/** Issues and checks the tokens of signed-in people: a short-lived signed access token, and a refresh token that rotates. */
export type Tokens = Awaited<ReturnType<typeof createTokens>>

export async function createTokens({
  db,
  vault,
  lifetimes,
}: {
  db: Db
  vault: Vault
  lifetimes: TokenLifetimes
}) {
  const key = await loadSigningKey(db, vault)
  const newRefreshToken = () => REFRESH_PREFIX + randomBytes(32).toString('base64url')

  const signAccessToken = (userId: string, sessionId: string) =>
    new SignJWT({ sid: sessionId })
      .setProtectedHeader({ alg: SIGNING_ALGORITHM, kid: key.id, typ: 'at+jwt' })
      .setIssuer(ISSUER)
      .setSubject(userId)
      .setJti(randomUUID())
      .setIssuedAt()
      .setExpirationTime(`${lifetimes.accessTokenS} s`)
      .sign(key.privateKey)

  const storedRefreshToken = (token: string, sessionId: string) => ({
    hash: vault.hash(REFRESH_PURPOSE, token),
    sessionId,
    expiresAt: new Date(Date.now() + lifetimes.refreshTokenS * 1_000),
  })

  return {
    /** Opens a session for a user whose password was just checked. */
    async issue(userId: string, description: string): Promise<TokenPair> {
      const sessionId = randomUUID()
      const refreshToken = newRefreshToken()
      await db.transaction().execute(async (trx) => {
        await sessions.insertSession(trx, { id: sessionId, userId, description })
        await sessions.insertRefreshToken(trx, storedRefreshToken(refreshToken, sessionId))
      })
      return { accessToken: await signAccessToken(userId, sessionId), refreshToken }
    },

    /**
     * Trades a refresh token for a new pair. A token that comes twice was stolen from one side or the other: the whole
     * session ends (RFC 9700 section 4.14.2).
     *
     * @throws {Unauthenticated} unknown, expired or used, or the user may not come in any more
     */
    async refresh(refreshToken: string): Promise<TokenPair & { readonly userId: string }> {
      const next = newRefreshToken()
      const used = await db.transaction().execute(async (trx) => {
        const token = await sessions.useRefreshToken(trx, vault.hash(REFRESH_PURPOSE, refreshToken))
        if (!token || token.wasUsed || token.hasExpired) return token
        await sessions.insertRefreshToken(trx, storedRefreshToken(next, token.sessionId))
        return token
      })
      if (used?.wasUsed) await sessions.revokeSession(db, used.sessionId)
      if (!used || used.wasUsed || used.hasExpired) throw new Unauthenticated()
      const live = await sessions.findLiveSession(db, used.sessionId)
      if (!live) throw new Unauthenticated()
      const accessToken = await signAccessToken(live.userId, used.sessionId)
      return { accessToken, refreshToken: next, userId: live.userId }
    },

    /**
     * Who an access token speaks for.
     *
     * @throws {Unauthenticated} not ours, expired, of a revoked session, or of a user who is not enabled
     */
    async authenticate(accessToken: string): Promise<Principal> {
      const live = await sessions.findLiveSession(db, await verify(accessToken))
      if (!live) throw new Unauthenticated('missing or invalid bearer user token')
      return live
    },

    /** Public keys that access tokens are signed with, as RFC 7517 section 5 writes them. */
    jwks: () => ({ keys: [key.publicJwk] }),
  }

  async function verify(accessToken: string): Promise<string> {
    try {
      const { payload } = await jwtVerify(accessToken, key.publicKey, {
        issuer: ISSUER,
        algorithms: [SIGNING_ALGORITHM],
        typ: 'at+jwt',
        requiredClaims: ['sub', 'sid', 'exp'],
      })
      if (typeof payload.sid === 'string') return payload.sid
    } catch (error) {
      throw new Unauthenticated('missing or invalid bearer user token', { cause: error })
    }
    throw new Unauthenticated('missing or invalid bearer user token')
  }
}
