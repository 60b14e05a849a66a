import type { EntityType } from '../../platform/db/tables.ts'

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
