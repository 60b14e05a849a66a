/** A signed-in person, as every service method takes it first. */
export interface Principal {
  readonly userId: string
  /** Passes every check without membership (contract A.4). */
  readonly isSuperadmin: boolean
  /** The session behind an access token; absent with a personal access token. */
  readonly sessionId?: string | undefined
  /**
   * What a personal access token is good for: nothing beyond this, whatever its owner may do (contract 9). Absent with an access
   * token, which is good for all that its owner may do.
   */
  readonly scopes?: readonly Scope[] | undefined
  /** When the token ends, in milliseconds since the epoch; absent where a user is looked at without one. */
  readonly expiresAtMs?: number | undefined
  /** The e-mail address is not verified, and this installation demands that it be (contract 1.3). */
  readonly mustVerify?: boolean | undefined
}

export const SCOPE_TYPES = [
  'groups',
  'channels',
  'clients',
  'domains',
  'users',
  'dashboards',
  'messages',
] as const
export type ScopeType = (typeof SCOPE_TYPES)[number]

/** One permission of a personal access token (contract 9). */
export interface Scope {
  readonly entityType: ScopeType
  /** `undefined` where the operation is about no domain. */
  readonly domainId: string | undefined
  /** An id, or `*` for every entity of the type. */
  readonly entityId: string
  readonly operation: string
}
