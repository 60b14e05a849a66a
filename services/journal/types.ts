/** Something that was done to an entity. */
export interface NewEntry {
  /** Operation name of the contract, section 10, such as `channel.connect`. */
  readonly operation: string
  readonly domainId: string | null
  readonly entityType: 'user' | 'domain' | 'group' | 'client' | 'channel'
  readonly entityId: string
  /** The user who did it; `null` when nobody was signed in. */
  readonly actorId: string | null
  /** What changed. Never holds a secret. */
  readonly attributes?: Record<string, unknown>
}

/** A committed entry on its way to the bus. */
export interface Entry extends Required<NewEntry> {
  readonly seq: number
  readonly id: string
  readonly occurredAt: Date
}

export type EntityType = NewEntry['entityType']

/** Which entries of the journal are asked for. */
export interface EntryFilter {
  readonly offset: number
  readonly limit: number
  readonly operation: string | undefined
  /** Inclusive, both. */
  readonly from: Date | undefined
  readonly to: Date | undefined
  readonly dir: 'asc' | 'desc'
}

/** What entries are about: an entity, or a user and what that user has done; in one domain, or wherever. */
export interface EntrySubject {
  readonly type: EntityType
  readonly id: string
  readonly domainId: string | undefined
}
