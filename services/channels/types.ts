import type { ConnectionType, EntityChange, Grouped, NewGrouped } from '../entities/types.ts'

export type { ConnectionType } from '../entities/types.ts'

/** Carries messages between the clients connected to it. It never changes domain. */
export interface Channel extends Grouped {
  readonly description: string
  /** Alias used in topics, unique within the domain. */
  readonly route: string | null
}

export interface NewChannel extends NewGrouped {
  readonly description: string
  readonly route: string | undefined
}

export interface ChannelChange extends EntityChange {
  readonly description?: string | undefined
}

/** Every client with every channel, in each of the ways. */
export interface Connections {
  readonly clientIds: readonly string[]
  readonly channelIds: readonly string[]
  readonly types: readonly ConnectionType[]
}
