import type { Db } from '../../platform/db/connect.ts'
import type { Principal } from '../../platform/principal.ts'
import type { Vault } from '../../platform/vault.ts'
import type { Journal } from '../journal/service.ts'
import { createKeyRing } from './keys.ts'
import { createOneTimeTokens } from './one-time.ts'
import { createPats } from './pats.ts'
import { createPolicy } from './policy.ts'
import { createRoles } from './roles.ts'
import { findBearer } from './sessions.ts'
import type { Bearer } from './sessions.ts'
import { createTokens } from './tokens.ts'
import type { TokenLifetimes } from './tokens.ts'

export { AVAILABLE_ACTIONS, grants } from './actions.ts'
export { isClosestWay, isGranted } from './reach.ts'
export { PresentedAccess, presentAccess } from './present.ts'
export type { OneTimeTokens } from './one-time.ts'
export type { Pats } from './pats.ts'
export type { Policy } from './policy.ts'
export type { RoleChanges } from './role-changes.ts'
export type { Roles } from './roles.ts'
export type { Tokens } from './tokens.ts'
export type Auth = Awaited<ReturnType<typeof createAuth>>

export interface AuthParts {
  readonly db: Db
  readonly vault: Vault
  readonly journal: Journal
  readonly lifetimes: TokenLifetimes
  /** Seconds after which a new signing key takes over. */
  readonly signingKeyS: number
  /** Whether users work only with a verified e-mail address. */
  readonly requireVerifiedEmail: boolean
}

/** Tokens and permissions: who is this, and may they do that. */
export async function createAuth(parts: AuthParts) {
  const { db, vault, requireVerifiedEmail } = parts
  const policy = createPolicy(db)
  const keys = await createKeyRing({ db, vault, maxAgeS: parts.signingKeyS })
  const tokens = createTokens({ ...parts, keys })
  const pats = createPats(parts)
  const oneTime = createOneTimeTokens({ vault })

  // Superadmins excepted: the first one has nobody to send it a mail, and the others are its doing.
  const mustVerify = ({ isVerified, isSuperadmin }: Bearer) =>
    requireVerifiedEmail && !isVerified && !isSuperadmin

  function toPrincipal<B extends Bearer>(bearer: B): Omit<B, 'isVerified'> & Pick<Principal, 'mustVerify'> {
    const { isVerified: _, ...principal } = bearer
    return { ...principal, mustVerify: mustVerify(bearer) }
  }

  return {
    policy,
    roles: createRoles({ ...parts, policy }),
    tokens,
    pats,
    oneTime,

    /**
     * Who an access token or a personal access token speaks for.
     *
     * @throws {Unauthenticated}
     */
    async authenticate(token: string): Promise<Principal & { readonly patId?: string }> {
      const bearer = token.startsWith('pat_')
        ? await pats.authenticate(token)
        : await tokens.authenticate(token)
      return toPrincipal(bearer)
    },

    /**
     * The rights of a user whose token was checked before, as they are now.
     *
     * @param patId the personal access token that it was, if it was one
     * @returns `undefined` when the user may not come in any more, or the personal access token holds no more
     */
    async findPrincipal(userId: string, patId: string | undefined): Promise<Principal | undefined> {
      const bearer = await (patId === undefined ? findBearer(db, userId) : pats.find(userId, patId))
      return bearer && !mustVerify(bearer) ? toPrincipal(bearer) : undefined
    },

    /** What must be done now and then: keys that grow old, and what has expired. */
    async maintain(): Promise<void> {
      await keys.maintain()
      await tokens.removeExpired()
      await oneTime.removeExpired(db)
    },
  }
}
