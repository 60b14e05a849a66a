import type { Socket } from 'node:net'
import type { Authority } from '../adapters/authority.ts'
import { createHttpAdapter } from '../adapters/http/adapter.ts'
import type { HttpAdapter } from '../adapters/http/adapter.ts'
import { createMqttAdapter } from '../adapters/mqtt/adapter.ts'
import type { MqttLimits } from '../adapters/mqtt/host.ts'
import { listenMqtt } from '../adapters/mqtt/listen.ts'
import { createMqttWebSocket } from '../adapters/mqtt/websocket.ts'
import { createPublish } from '../adapters/publish.ts'
import type { ConnectionQuota, Holder } from '../adapters/quota.ts'
import { createMessageRates, limitPublish } from '../adapters/rates.ts'
import { createStoredAcks } from '../adapters/stored.ts'
import { startTraffic } from '../adapters/traffic.ts'
import type { Traffic, TrafficSink } from '../adapters/traffic.ts'
import type { TopicLimits } from '../adapters/topics.ts'
import { createWsAdapter } from '../adapters/ws/adapter.ts'
import type { Bus } from '../platform/bus/connect.ts'
import type { Nodes } from '../platform/bus/nodes.ts'
import type { Publisher } from '../platform/bus/publisher.ts'
import { createChannelFeed } from '../platform/bus/subscriptions.ts'
import type { Config } from '../platform/config.ts'
import type { AddressReader } from '../platform/http/client-address.ts'
import type { Lifecycle } from '../platform/lifecycle.ts'
import type { Logger } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { checkPayload } from './check-payload.ts'
import { explainPort } from './start-error.ts'
import { KEEP_ALIVE_S } from './http/server.ts'
import type { UpgradeHandler } from './http/server.ts'
import { listenSecured } from './secured.ts'
import type { Secured } from './secured.ts'

export interface AdaptersParts {
  readonly config: Config
  readonly life: Lifecycle
  readonly log: Logger
  readonly metrics: Metrics
  readonly bus: Bus
  readonly publisher: Publisher
  readonly nodes: Nodes
  readonly authority: Authority
  readonly addressOf: AddressReader
  readonly quota: ConnectionQuota
  /** Told of connections whose other end has shown who he is. @returns `false` when it may not be kept */
  readonly letIn: (socket: Socket, holder: Holder) => boolean
  readonly trafficSink: TrafficSink
}

export interface Adapters {
  /** What clients do, whatever they do it over. */
  readonly traffic: Traffic
  readonly http: HttpAdapter | undefined
  /** Asked in this order, before anything else has an upgrade. */
  readonly onUpgrade: readonly UpgradeHandler[]
  readonly mqttPort: number | undefined
  readonly mqttsPort: number | undefined
  /** Reads the files of certificates again; absent where there are none. Never throws. */
  readonly reload: (() => void) | undefined
}

/** Builds the adapters of the roles asked for, all on one feed and one publisher. */
export async function startAdapters(parts: AdaptersParts): Promise<Adapters> {
  const { config, life, log, metrics, bus, publisher, nodes, authority, addressOf, quota } = parts
  const traffic = startTraffic({ node: nodes.id, sink: parts.trafficSink, log })
  // Behind the adapters, whose last counts it reports.
  life.onStop('traffic', () => traffic.stop())
  const stored = config.ack === 'stored' ? createStoredAcks(bus) : undefined
  // Behind the adapters, which wait for what is under way.
  if (stored) life.onStop('stored acknowledgements', () => stored.stop())
  const publish = createPublish(publisher, stored)
  const feed = createChannelFeed(bus)
  life.onStop('live messages', () => feed.stop())
  const rates = createMessageRates({
    perClient: config.maxClientMessagesPerS,
    perDomain: config.maxDomainMessagesPerS,
    perListener: config.maxListenerMessagesPerS,
  })
  const has = (role: Config['roles'][number]) => config.roles.includes(role)
  const { maxPayloadBytes, maxConnections } = config
  const onUpgrade: UpgradeHandler[] = []

  const http = has('http')
    ? createHttpAdapter({
        authority,
        addressOf,
        letIn: parts.letIn,
        publish: limitPublish(publish, rates?.('http')),
        traffic,
        log,
        metrics,
        maxPayloadBytes,
        keepAliveS: KEEP_ALIVE_S,
        checkPayload,
        topics: topicLimits(config),
      })
    : undefined

  if (has('ws')) {
    const ws = createWsAdapter({
      authority,
      addressOf,
      traffic,
      publish: limitPublish(publish, rates?.('ws')),
      quota,
      feed,
      log,
      metrics,
      limits: {
        maxPayloadBytes,
        maxConnections,
        topics: topicLimits(config),
        maxConnectsPerS: config.maxListenerConnectsPerS,
      },
    })
    life.onStop('websocket', () => ws.stop())
    onUpgrade.push((...upgrade) => ws.handleUpgrade(...upgrade))
  }

  let mqttPort: number | undefined
  let secured: Secured | undefined
  if (has('mqtt')) {
    const mqtt = await createMqttAdapter({
      authority,
      publish,
      feed,
      cluster: { bus, publisher, nodes },
      log,
      metrics,
      checkPayload,
      traffic,
      quota,
      rates,
      limits: mqttLimits(config),
    })
    life.onStop('mqtt', () => mqtt.stop())
    const overWebSocket = createMqttWebSocket(mqtt, { maxPacketBytes: maxPayloadBytes, addressOf })
    life.onStop('mqtt over websocket', () => overWebSocket.stop())
    onUpgrade.push((...upgrade) => overWebSocket.handleUpgrade(...upgrade))
    const { host } = config
    const plain = await listenMqtt(mqtt, { host, port: config.mqttPort, log }).catch((error: unknown) => {
      throw explainPort(error, config.mqttPort, 'SLUICE_MQTT_PORT')
    })
    life.onStop('mqtt port', () => plain.stop())
    mqttPort = plain.port
    secured = await listenSecured(parts, mqtt)
  }

  return { traffic, http, onUpgrade, mqttPort, mqttsPort: secured?.port, reload: secured?.reload }
}

const topicLimits = ({ maxTopicLevels, maxTopicBytes }: Config): TopicLimits => ({
  maxLevels: maxTopicLevels,
  maxBytes: maxTopicBytes,
})

const mqttLimits = (config: Config): MqttLimits => ({
  maxPacketBytes: config.maxPayloadBytes,
  topics: topicLimits(config),
  connectTimeoutMs: config.connectTimeoutS * 1_000,
  maxSubscriptionsPerRequest: config.maxSubscriptionsPerRequest,
  maxSubscriptions: config.maxSubscriptions,
  maxDomainSubscriptions: config.maxDomainSubscriptions,
  maxGroupsPerDomain: config.maxDomainGroups,
  maxSessionBytes: config.maxSessionBytes,
  maxDomainSessionBytes: config.maxDomainSessionBytes,
  maxQueuedMessages: config.maxQueuedMessages,
  maxInflight: config.maxInflight,
  receiveMaximum: config.receiveMaximum,
  sessionExpiryS: config.sessionExpiryS,
  maxKeepAliveS: config.maxKeepAliveS,
  maxConnections: config.maxConnections,
  maxUnauthenticatedPerAddress: config.maxUnauthenticatedPerAddress,
  maxConnectsPerS: config.maxListenerConnectsPerS,
})
