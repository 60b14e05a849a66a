import type { EntityType } from '../../platform/db/tables.ts'

export type { EntityType } from '../../platform/db/tables.ts'

/** A signed-in person, as every service method takes it first. */
export interface Principal {
  readonly userId: string
  /** Passes every check without membership (contract A.4). */
  readonly isSuperadmin: boolean
}

/** What the HTTP edge puts at the disposal of each request. */
export interface RequestState {
  readonly maxBodyBytes: number
  /**
   * Who calls; asked for by every handler that is not open to all.
   *
   * @throws {Unauthenticated} no access token, or one that does not hold
   */
  principal(): Promise<Principal>
}

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
