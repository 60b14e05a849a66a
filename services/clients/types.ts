import type { SeenOver } from '../../platform/bus/presence.ts'
import type { EntityChange, Grouped, NewGrouped } from '../entities/types.ts'

/** A device or an application that sends and receives messages. Its secret is never read back. */
export interface Client extends Grouped {
  readonly identity: string
  /** `undefined` to those who may not update the client. */
  readonly privateMetadata: Record<string, unknown> | undefined
  /** As of a second ago. */
  readonly isConnected: boolean
  /** When it last had a connection, or published without one, and over what; `undefined` when it never did. */
  readonly lastSeen: { readonly at: Date; readonly protocol: SeenOver } | undefined
}

export interface NewClient extends NewGrouped {
  readonly identity: string
  readonly privateMetadata: Record<string, unknown>
  /** Generated when absent. */
  readonly secret: string | undefined
}

export interface ClientChange extends EntityChange {
  readonly privateMetadata?: Record<string, unknown> | undefined
}

/** A client beside its secret: shown in the answers to creation, update of the secret and rotation alone. */
export interface ClientWithSecret {
  readonly client: Client
  readonly secret: string
}

/** What a process tells of the connections of its clients, as it stands on the bus. */
export interface NodeReport {
  readonly node: string
  readonly number: number
  readonly isWhole: boolean
  readonly clients: readonly ConnectionReport[]
}

export interface ConnectionReport {
  readonly clientId: string
  readonly subscriptions: number
  readonly connections: number
  readonly seen?: Sighting | undefined
}

export interface Sighting {
  readonly protocol: SeenOver
  readonly atMs: number
  readonly hasConnected: boolean
}
