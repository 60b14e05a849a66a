/**
 * What adapters ask about who may do what. The answers come from the `api` role, in the same process or over NATS; adapters
 * see this interface alone.
 */

/** A channel as the bus names it, with the domain it belongs to. Ids are canonical: lower-case UUIDs. */
export interface ChannelAddress {
  readonly domainId: string
  readonly channelId: string
}

/** Who a connection or a request speaks for. */
export type Principal =
  | { readonly kind: 'client'; readonly id: string; readonly domainId: string }
  | {
      readonly kind: 'user'
      readonly id: string
      /** The personal access token that the user came with; its scopes bound what is allowed. */
      readonly patId?: string | undefined
      /** When the token ends, in milliseconds since the epoch. */
      readonly expiresAtMs?: number | undefined
    }

export type Action = 'publish' | 'subscribe'

/**
 * What a device showed. A client's secret is unique within its domain only, so it comes with the client's id (MQTT, Basic)
 * or with the domain it is used in (HTTP, WebSocket: the topic names it).
 */
export type Credentials =
  | { readonly kind: 'client'; readonly clientId: string; readonly secret: string }
  /** An adapter has checked a certificate that names the client. Never made from what a request says of itself. */
  | { readonly kind: 'certificate'; readonly clientId: string }
  /** `domainId` is as the topic names it when the topic names no channel that exists: then it may be a route. */
  | { readonly kind: 'secret'; readonly domainId: string; readonly secret: string }
  | { readonly kind: 'token'; readonly token: string }

/** Where the answers come from. Implemented by the management services; plain JSON in and out, so that it can cross NATS. */
export interface AuthorityBackend {
  /** The channel that a topic names by id or route; `null` when there is none. Without `domain` the channel must be an id. */
  findChannel(reference: { domain?: string | undefined; channel: string }): Promise<ChannelAddress | null>
  /** Who shows these credentials; `null` when they do not hold, or who holds them is disabled. */
  authenticate(credentials: Credentials): Promise<Principal | null>
  /** Whether the principal may do this on the channel now: connected, and client, channel and domain enabled. */
  authorize(request: { principal: Principal; channelId: string; action: Action }): Promise<boolean>
}

/**
 * Something changed that may take a permission away, or give one. It touches what all of its fields match; absent fields
 * mean: whichever.
 */
export interface AuthorityChange {
  /** Only principals of this kind: roles are nothing to clients. */
  readonly kind?: Principal['kind'] | undefined
  readonly domainId?: string | undefined
  readonly clientIds?: readonly string[] | undefined
  readonly channelIds?: readonly string[] | undefined
  readonly userIds?: readonly string[] | undefined
}

/** Answers that are remembered and no refusals. What is not among them has to be asked. */
export interface AuthorityMemory {
  findChannel(reference: { domain?: string | undefined; channel: string }): ChannelAddress | undefined
  authenticate(credentials: Credentials): Principal | undefined
  authorize(request: { principal: Principal; channelId: string; action: Action }): boolean
  /** Grows whenever something is forgotten: what was recalled before may be untrue since. */
  readonly era: number
  /** Something to know the same text by that tells nothing of the text, in this process alone. */
  seal(text: string): string
}

/** The backend behind a bounded cache that events evict. */
export interface Authority extends AuthorityBackend {
  /** As true as asking: it holds what asking would answer at once. */
  readonly memory: AuthorityMemory
  /**
   * @param address where a stranger shows them; absent when it is asked again about somebody who was let in
   * @throws {RateLimited} too many secrets that did not hold came from there, or for the client
   */
  authenticate(credentials: Credentials, address?: string): Promise<Principal | null>
  /**
   * Calls back after cached answers that the change touches are gone, so that asking again gives the truth. Live
   * connections re-check what they hold there.
   *
   * @returns removes the listener
   */
  onChange(listener: (change: AuthorityChange) => void): () => void
}

/** What letting somebody in asks of the authority. */
export type Doorkeeper = Omit<Authority, 'onChange'>

/**
 * What a cached answer or a live connection rests on. `undefined` is "not known": any change may concern it. `null` is "does
 * not matter": no change that names such a thing concerns it.
 */
export interface AuthorityFacts {
  readonly domainId?: string | null | undefined
  readonly channelId?: string | null | undefined
  readonly principal?: Pick<Principal, 'kind' | 'id'> | null | undefined
}

/** Whether the change may concern what rests on these facts. */
export function isTouched(
  change: AuthorityChange,
  { domainId, channelId, principal }: AuthorityFacts,
): boolean {
  const { kind, clientIds, userIds } = change
  if (change.domainId !== undefined && domainId !== undefined && change.domainId !== domainId) return false
  if (change.channelIds && channelId !== undefined && !isAmong(channelId, change.channelIds)) return false
  if (principal === undefined || (!kind && !clientIds && !userIds)) return true
  if (principal === null || (kind && kind !== principal.kind)) return false
  return (!clientIds && !userIds) || isAmong(principal.id, principal.kind === 'client' ? clientIds : userIds)
}

function isAmong(id: string | null, ids: readonly string[] | undefined): boolean {
  return id !== null && ids !== undefined && ids.includes(id)
}
