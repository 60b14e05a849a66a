import type { Logger } from '../../platform/log.ts'
import type { Message } from '../../platform/bus/message.ts'
import type { Authority } from '../authority.ts'
import type { Publish } from '../publish.ts'
import type { MessageRate } from '../rates.ts'
import type { TopicLimits } from '../topics.ts'
import type { Refusals } from '../refusals.ts'
import type { Traffic } from '../traffic.ts'
import type { AedesBroker } from './aedes-broker.ts'
import type { ConnectionInfo, Peer } from './peer.ts'
import type { CheckPayload } from './inbound.ts'
import type { LookBack } from './look-back.ts'
import type { RetainedStore } from './retained-store.ts'
import type { SessionBounds } from './session-records.ts'
import type { SessionStore } from './session-store.ts'
import type { Subscriptions } from './subscriptions.ts'

/** Limits of the adapter, out of the configuration. */
export interface MqttLimits extends SessionBounds {
  readonly maxPacketBytes: number
  readonly topics: TopicLimits
  /** From the first byte of a connection to its CONNECT being accepted. */
  readonly connectTimeoutMs: number
  readonly maxSubscriptionsPerRequest: number
  /** Of one session. */
  readonly maxSubscriptions: number
  /** Of all sessions of one domain in this process. */
  readonly maxDomainSubscriptions: number
  /** What the groups of shared subscriptions of one domain may have on the stream, over all processes. */
  readonly maxGroupsPerDomain: number
  /** Messages that wait for one session. */
  readonly maxQueuedMessages: number
  /** Unacknowledged QoS 1 and 2 messages to one session. */
  readonly maxInflight: number
  /** What all sessions of the process may hold together; 256 MiB when not given. */
  readonly maxBacklogBytes?: number | undefined
  /** The same from one connection of MQTT 5, which is told so; of older versions QoS 2 in kept sessions alone. */
  readonly receiveMaximum: number
  readonly sessionExpiryS: number
  /** Told to MQTT 5 clients that ask for more, or for none. */
  readonly maxKeepAliveS: number
  readonly maxConnections: number
  /** Connections of one address that have not shown who they are. */
  readonly maxUnauthenticatedPerAddress: number
  /** New connections of each transport; any number when not given. */
  readonly maxConnectsPerS?: number | undefined
}

/** What the connections of one adapter share. */
export interface Host {
  readonly authority: Authority
  readonly publish: Publish
  readonly checkPayload: CheckPayload
  /** The rate of messages of a listener, where one is set. */
  readonly rates: ((listener: string) => MessageRate) | undefined
  readonly log: Logger
  readonly limits: MqttLimits
  readonly broker: AedesBroker
  readonly sessions: SessionStore
  readonly subscriptions: Subscriptions
  readonly retained: RetainedStore
  readonly lookBack: LookBack
  readonly refusals: Refusals
  readonly traffic: Traffic
  /** Whether the transport's rate has room for one more connection; else it is a refusal, which is noted here. */
  admitConnect(info: ConnectionInfo): boolean
  /**
   * Takes the session's name for the connection, and ends the one that had it in this process [MQTT-3.1.4-3].
   *
   * @throws {QuotaExceeded}, {RateLimited} the client or its domain has too many connections, or makes too many
   */
  claim(connection: Peer, key: string): Promise<void>
  /** Last place of the stream. @throws {Unavailable} */
  lastPlace(): Promise<number>
  onAuthenticated(connection: Peer): void
  onOpen(connection: Peer): void
  onClosed(connection: Peer, was: { wasOpen: boolean; wasAuthenticated: boolean }): void
  onStored(message: Message): void
  onLost(error: Error): void
}
