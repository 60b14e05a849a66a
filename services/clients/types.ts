/** A device or an application that sends and receives messages. Its secret is never read back. */
export interface Client {
  readonly id: string
  readonly domainId: string
  readonly name: string
  readonly identity: string
  readonly tags: readonly string[]
  readonly metadata: Record<string, unknown>
  /** `undefined` to those who may not update the client. */
  readonly privateMetadata: Record<string, unknown> | undefined
  readonly status: 'enabled' | 'disabled' | 'deleted'
  readonly parentGroupId: string | null
  /** Ids of the groups above, from the root down, joined by dots; empty without a parent. */
  readonly parentGroupPath: string
  readonly createdBy: string
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly updatedBy: string | null
  /** Only in lists that were filtered by channel. */
  readonly connectionTypes: readonly ('publish' | 'subscribe')[] | undefined
}

export interface NewClient extends Pick<Client, 'name' | 'identity' | 'tags' | 'metadata'> {
  readonly privateMetadata: Record<string, unknown>
  readonly id: string | undefined
  /** Generated when absent. */
  readonly secret: string | undefined
  readonly status: 'enabled' | 'disabled'
  readonly parentGroupId: string | undefined
}

/** A client beside its secret: shown once, in the answer to its creation. */
export interface CreatedClient {
  readonly client: Client
  readonly secret: string
}
