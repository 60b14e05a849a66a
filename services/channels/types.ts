/** Carries messages between the clients connected to it. It never changes domain. */
export interface Channel {
  readonly id: string
  readonly domainId: string
  readonly name: string
  readonly description: string
  /** Alias used in topics, unique within the domain. */
  readonly route: string | null
  readonly tags: readonly string[]
  readonly metadata: Record<string, unknown>
  readonly status: 'enabled' | 'disabled' | 'deleted'
  readonly parentGroupId: string | null
  /** Ids of the groups above, from the root down, joined by dots; empty without a parent. */
  readonly parentGroupPath: string
  readonly createdBy: string
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly updatedBy: string | null
  /** Only in lists that were filtered by client. */
  readonly connectionTypes: readonly ConnectionType[] | undefined
}

export interface NewChannel extends Pick<Channel, 'name' | 'description' | 'tags' | 'metadata'> {
  readonly id: string | undefined
  readonly route: string | undefined
  readonly status: 'enabled' | 'disabled'
  readonly parentGroupId: string | undefined
}

/** Absent fields stay as they are. */
export interface ChannelChange {
  readonly name?: string | undefined
  readonly description?: string | undefined
  readonly metadata?: Record<string, unknown> | undefined
}

export type ConnectionType = 'publish' | 'subscribe'

/** Every client with every channel, in each of the ways. */
export interface Connections {
  readonly clientIds: readonly string[]
  readonly channelIds: readonly string[]
  readonly types: readonly ConnectionType[]
}
