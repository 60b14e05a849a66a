import { randomBytes, randomUUID } from 'node:crypto'
import { SignJWT, errors, jwtVerify } from 'jose'
import type { JWTHeaderParameters } from 'jose'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { Forbidden, NotFound, Unauthenticated } from '../../platform/errors.ts'
import type { Vault } from '../../platform/vault.ts'
import type { Journal } from '../journal/service.ts'
import { SIGNING_ALGORITHM } from './keys.ts'
import type { KeyRing } from './keys.ts'
import * as sessions from './sessions.ts'
import type { Bearer } from './sessions.ts'
import type { Principal, TokenPair } from './types.ts'

const ISSUER = 'sluice'
const REFRESH_PREFIX = 'srt_'
const REFRESH_PURPOSE = 'refresh token'
const REFUSAL = 'missing or invalid bearer user token'

export interface TokenLifetimes {
  readonly accessTokenS: number
  readonly refreshTokenS: number
}

export interface TokensParts {
  readonly db: Db
  readonly vault: Vault
  readonly journal: Journal
  readonly keys: KeyRing
  readonly lifetimes: TokenLifetimes
}

/** Issues and checks the tokens of signed-in people: a short-lived signed access token, and a refresh token that rotates. */
export type Tokens = ReturnType<typeof createTokens>

export function createTokens({ db, vault, journal, keys, lifetimes }: TokensParts) {
  const newRefreshToken = () => REFRESH_PREFIX + randomBytes(32).toString('base64url')

  const signAccessToken = (userId: string, sessionId: string) => {
    const key = keys.signer()
    return new SignJWT({ sid: sessionId })
      .setProtectedHeader({ alg: SIGNING_ALGORITHM, kid: key.id, typ: 'at+jwt' })
      .setIssuer(ISSUER)
      .setSubject(userId)
      .setJti(randomUUID())
      .setIssuedAt()
      .setExpirationTime(`${lifetimes.accessTokenS} s`)
      .sign(key.privateKey)
  }

  const storedRefreshToken = (token: string, sessionId: string) => ({
    hash: vault.hash(REFRESH_PURPOSE, token),
    sessionId,
    expiresAt: new Date(Date.now() + lifetimes.refreshTokenS * 1_000),
  })

  const record = (trx: Trx, operation: string, userId: string, attributes: Record<string, unknown>) =>
    journal.record(trx, {
      operation,
      domainId: null,
      entityType: 'user',
      entityId: userId,
      actorId: userId,
      attributes,
    })

  /** What {@link Tokens.refresh} does in its transaction, which must also commit when the token turns out stolen. */
  async function rotate(trx: Trx, refreshToken: string, next: string) {
    const token = await sessions.useRefreshToken(trx, vault.hash(REFRESH_PURPOSE, refreshToken))
    if (token?.wasUsed) {
      const userId = await sessions.revokeSession(trx, token.sessionId)
      if (userId !== undefined) {
        const attributes = { token_id: token.sessionId, reason: 'used twice' }
        await record(trx, 'user.revoke_refresh_token', userId, attributes)
      }
      return undefined
    }
    if (!token || token.hasExpired) return undefined
    const live = await sessions.findLiveSession(trx, token.sessionId)
    if (!live) return undefined
    await sessions.insertRefreshToken(trx, storedRefreshToken(next, token.sessionId))
    await record(trx, 'user.refresh_token', live.userId, { token_id: token.sessionId })
    return { userId: live.userId, sessionId: token.sessionId }
  }

  return {
    /** Opens a session for a user whose password was just checked. */
    async issue(userId: string, description: string): Promise<TokenPair> {
      const sessionId = randomUUID()
      const refreshToken = newRefreshToken()
      await db.transaction().execute(async (trx) => {
        await sessions.insertSession(trx, { id: sessionId, userId, description })
        await sessions.insertRefreshToken(trx, storedRefreshToken(refreshToken, sessionId))
        await record(trx, 'user.issue_token', userId, { token_id: sessionId })
      })
      return { accessToken: await signAccessToken(userId, sessionId), refreshToken }
    },

    /**
     * Trades a refresh token for a new pair. A token that comes twice was stolen from one side or the other: the whole
     * session ends (RFC 9700 section 4.14.2).
     *
     * @throws {Unauthenticated} unknown, expired or used, or the user may not come in any more
     */
    async refresh(refreshToken: string): Promise<TokenPair> {
      const next = newRefreshToken()
      const session = await db.transaction().execute((trx) => rotate(trx, refreshToken, next))
      if (!session) throw new Unauthenticated()
      return { accessToken: await signAccessToken(session.userId, session.sessionId), refreshToken: next }
    },

    /**
     * Who an access token speaks for.
     *
     * @throws {Unauthenticated} not ours, expired, of a revoked session, or of a user who is not enabled
     */
    async authenticate(
      accessToken: string,
    ): Promise<Bearer & { readonly sessionId: string; readonly expiresAtMs: number }> {
      const { sessionId, expiresAtMs } = await verify(accessToken)
      const live = await sessions.findLiveSession(db, sessionId)
      if (!live) throw new Unauthenticated(REFUSAL)
      return { ...live, sessionId, expiresAtMs }
    },

    /** The caller's sessions, each by the id that {@link revoke} takes. */
    async list(principal: Principal): Promise<{ id: string; description: string }[]> {
      return sessions.listSessions(db, principal.userId)
    },

    /**
     * Ends a session of the caller, its access tokens included.
     *
     * @throws {NotFound} the caller has no such session
     */
    async revoke(principal: Principal, sessionId: string): Promise<void> {
      await db.transaction().execute(async (trx) => {
        const userId = await sessions.revokeSession(trx, sessionId)
        // Thrown inside: a session of somebody else goes on.
        if (userId !== principal.userId) throw new NotFound()
        await record(trx, 'user.revoke_refresh_token', userId, { token_id: sessionId })
      })
    },

    /** Ends the user's sessions, one of them excepted if so wanted. */
    async revokeAll(trx: Trx, userId: string, except?: string): Promise<void> {
      await sessions.revokeSessionsOf(trx, userId, except)
    },

    /** Public keys that access tokens are signed with, as RFC 7517 section 5 writes them. */
    jwks: () => keys.jwks(),

    /**
     * Signs with a new key from now on; what the old one has signed holds to its end.
     *
     * @throws {Forbidden} the caller is no superadmin
     */
    async rotateKey(principal: Principal): Promise<void> {
      if (!principal.isSuperadmin) throw new Forbidden('not authorized to perform admin action')
      await db.transaction().execute(async (trx) => {
        await keys.add(trx)
        await record(trx, 'key.rotate', principal.userId, {})
      })
      await keys.refresh()
    },

    async removeExpired(): Promise<void> {
      await sessions.removeExpiredSessions(db, lifetimes.accessTokenS)
    },
  }

  async function publicKeyOf(header: JWTHeaderParameters) {
    const key = typeof header.kid === 'string' ? await keys.find(header.kid) : undefined
    if (!key) throw new Unauthenticated(REFUSAL)
    return key.publicKey
  }

  async function verify(accessToken: string): Promise<{ sessionId: string; expiresAtMs: number }> {
    try {
      const { payload } = await jwtVerify(accessToken, publicKeyOf, {
        issuer: ISSUER,
        algorithms: [SIGNING_ALGORITHM],
        typ: 'at+jwt',
        requiredClaims: ['sub', 'sid', 'exp'],
      })
      if (typeof payload.sid === 'string' && payload.exp !== undefined) {
        return { sessionId: payload.sid, expiresAtMs: payload.exp * 1_000 }
      }
    } catch (error) {
      // Everything else, such as a database that is away, says nothing about the token.
      if (!(error instanceof errors.JOSEError)) throw error
      throw new Unauthenticated(REFUSAL, { cause: error })
    }
    throw new Unauthenticated(REFUSAL)
  }
}
