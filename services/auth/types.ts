import type { EntityType } from '../../platform/db/tables.ts'
import type { Scope } from '../../platform/principal.ts'

export type { EntityType } from '../../platform/db/tables.ts'

export type { Principal } from '../../platform/principal.ts'

/** A token pair as signing in and refreshing answer it. */
export interface TokenPair {
  readonly accessToken: string
  readonly refreshToken: string
}

/** What a batch of new roles has in common; the user creates them and becomes their member. */
export interface NewRoles {
  readonly entityType: EntityType
  readonly domainId: string
  readonly name: string
  readonly isBuiltIn: boolean
  readonly actions: readonly string[]
  readonly userId: string
}

/** A personal access token, its secret left out. */
export interface Pat {
  readonly id: string
  readonly userId: string
  readonly name: string
  readonly description: string
  readonly issuedAt: Date
  readonly expiresAt: Date
  readonly updatedAt: Date | null
  /** To the minute. */
  readonly lastUsedAt: Date | null
  readonly revokedAt: Date | null
}

export type PatStatus = 'active' | 'revoked' | 'expired'
export type NewPat = Pick<Pat, 'name' | 'description' | 'expiresAt'>

/** A token with its secret, which is shown this once. */
export interface CreatedPat {
  readonly pat: Pat
  readonly secret: string
}

export interface PatScope extends Scope {
  readonly id: string
  readonly patId: string
}
