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
