import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connectAsync } from 'mqtt'
import type { IClientOptions, MqttClient } from 'mqtt'
import { afterAll, afterEach, beforeAll, vi } from 'vitest'
import { createAuthority } from '../../../adapters/authority-cache.ts'
import { createMqttAdapter } from '../../../adapters/mqtt/adapter.ts'
import type { MqttAdapter } from '../../../adapters/mqtt/adapter.ts'
import type { MqttLimits } from '../../../adapters/mqtt/host.ts'
import type { CheckPayload } from '../../../adapters/mqtt/inbound.ts'
import { listenMqtt } from '../../../adapters/mqtt/listen.ts'
import { createAddressReader } from '../../../platform/http/client-address.ts'
import { createMqttWebSocket } from '../../../adapters/mqtt/websocket.ts'
import { createPublish } from '../../../adapters/publish.ts'
import { createConnectionQuota } from '../../../adapters/quota.ts'
import type { ConnectionLimits } from '../../../adapters/quota.ts'
import { createMessageRates } from '../../../adapters/rates.ts'
import type { MessageRateLimits } from '../../../adapters/rates.ts'
import type { Publish } from '../../../adapters/publish.ts'
import { TOPIC_LIMITS } from '../../../adapters/topics.ts'
import type { Bus } from '../../../platform/bus/connect.ts'
import { createNodes } from '../../../platform/bus/nodes.ts'
import type { NodesOptions } from '../../../platform/bus/nodes.ts'
import { createPublisher } from '../../../platform/bus/publisher.ts'
import { createChannelFeed } from '../../../platform/bus/subscriptions.ts'
import { createMetrics } from '../../../platform/metrics.ts'
import type { Metrics } from '../../../platform/metrics.ts'
import { AuthorityTables } from '../../support/authority.ts'
import type { Channel, Client } from '../../support/authority.ts'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'
import { captureLog } from '../../support/log.ts'
import { startUntoldTraffic } from '../../support/traffic.ts'
import { RawClient } from '../../support/mqtt-packets.ts'
import type { PacketOf, Version } from '../../support/mqtt-packets.ts'

export { connectPacket, encode, PUBLISH, RawClient } from '../../support/mqtt-packets.ts'

export const LIMITS: MqttLimits = {
  maxPacketBytes: 64 * 1024,
  topics: TOPIC_LIMITS,
  connectTimeoutMs: 5_000,
  maxSubscriptionsPerRequest: 8,
  maxSubscriptions: 100,
  maxDomainSubscriptions: 20_000,
  maxGroupsPerDomain: 100,
  maxSessionBytes: 64 * 1024,
  maxDomainSessionBytes: 16 * 1_048_576,
  maxQueuedMessages: 50,
  maxInflight: 16,
  receiveMaximum: 200,
  sessionExpiryS: 3_600,
  maxKeepAliveS: 1_200,
  maxConnections: 200,
  maxUnauthenticatedPerAddress: 20,
}

/** One process's MQTT adapter on a real bus, with the management side in memory. */
export interface TestGateway {
  readonly bus: Bus
  readonly port: number
  readonly adapter: MqttAdapter
  readonly tables: AuthorityTables
  readonly publish: Publish
  readonly metrics: Metrics
  readonly lines: string[]
  stop(): Promise<void>
}

export interface GatewayOptions {
  readonly tables?: AuthorityTables
  readonly limits?: Partial<MqttLimits>
  /** Puts something in front of the real one. */
  readonly publish?: (real: Publish) => Publish
  readonly checkPayload?: CheckPayload
  readonly rates?: MessageRateLimits
  readonly quota?: Partial<ConnectionLimits>
  readonly nodes?: NodesOptions
}

export async function startMqttGateway(bus: Bus, options: GatewayOptions = {}): Promise<TestGateway> {
  const tables = options.tables ?? new AuthorityTables()
  const { log, lines } = captureLog()
  const metrics = createMetrics()
  const publisher = createPublisher(bus)
  const publish = createPublish(publisher)
  const nodes = createNodes(bus, options.nodes)
  const authority = createAuthority({ backend: tables, bus })
  await authority.ready
  const traffic = startUntoldTraffic(log)
  const feed = createChannelFeed(bus)
  const adapter = await createMqttAdapter({
    traffic,
    authority,
    publish: options.publish?.(publish) ?? publish,
    feed,
    cluster: { bus, publisher, nodes },
    log,
    metrics,
    limits: { ...LIMITS, ...options.limits },
    quota: createConnectionQuota({ perClient: 200, perDomain: 200, ...options.quota }),
    rates: createMessageRates(options.rates ?? {}),
    ...(options.checkPayload ? { checkPayload: options.checkPayload } : {}),
  })
  const listener = await listenMqtt(adapter, { host: '127.0.0.1', port: 0, log })
  return {
    bus,
    port: listener.port,
    adapter,
    tables,
    publish,
    metrics,
    lines,
    async stop() {
      await listener.stop()
      await adapter.stop()
      feed.stop()
      await traffic.stop()
      authority.stop()
      nodes.stop()
      await publisher.stop()
    },
  }
}

/** One gateway on a NATS server of its own for the tests of a file. */
export function useGateway(
  onStart: (gateway: TestGateway, testBus: TestBus) => void,
  options: GatewayOptions = {},
): void {
  let stop = (): Promise<void> => Promise.resolve()
  beforeAll(async () => {
    const testBus = await startTestBus()
    stop = () => testBus.stop()
    const gateway = await startMqttGateway(testBus.bus, options)
    stop = async () => {
      await gateway.stop()
      await testBus.stop()
    }
    onStart(gateway, testBus)
  })
  afterAll(() => stop())
}

/** Tries until the check passes: long enough for a machine that has other things to do. */
export function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(check, { timeout: 15_000, interval: 20 })
}

/** A client that may publish and subscribe on the channels given. */
export function addMember(tables: AuthorityTables, ...channels: Channel[]): Client {
  const client = tables.addClient()
  for (const channel of channels) tables.allow(client, channel, 'publish', 'subscribe')
  return client
}

export function topicOf(channel: Channel, ...levels: string[]): string {
  return ['m', channel.domainId, 'c', channel.id, ...levels].join('/')
}

/** MQTT.js, signed in. It does not reconnect by itself. */
export function connectClient(
  { port }: { readonly port: number },
  client: Client,
  options: IClientOptions = {},
): Promise<MqttClient> {
  return connectAsync(`mqtt://127.0.0.1:${port}`, {
    username: client.id,
    password: client.secret,
    reconnectPeriod: 0,
    ...options,
  })
}

export interface Received {
  readonly topic: string
  readonly payload: string
  readonly qos: number
  readonly retain: boolean
}

/** What a client has received, in order. */
export function collect(client: MqttClient): Received[] {
  const received: Received[] = []
  client.on('message', (topic, payload, { qos, retain }) => {
    received.push({ topic, payload: payload.toString(), qos, retain })
  })
  return received
}

/** MQTT over WebSocket for the gateway of a test file. @returns asks for the port */
export function useWebSocketPort(gateway: () => TestGateway): () => number {
  const server = createServer()
  beforeAll(async () => {
    const bridge = createMqttWebSocket(gateway().adapter, { ...LIMITS, addressOf: createAddressReader([]) })
    server.on('upgrade', (request, socket, head) => {
      if (!bridge.handleUpgrade(request, socket, head)) socket.destroy()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return async () => {
      await bridge.stop()
      server.close()
    }
  })
  return () => (server.address() as AddressInfo).port
}

/** Opens raw connections that are signed in, and ends them behind each test. */
export function useRawClients(
  gateway: () => { readonly port: number },
): (version: Version, client: Client, options?: Partial<PacketOf<'connect'>>) => Promise<RawClient> {
  const opened: RawClient[] = []
  afterEach(() => {
    for (const raw of opened.splice(0)) raw.end()
  })
  return async (version, client, options) => {
    const raw = new RawClient(gateway().port, version)
    opened.push(raw)
    await raw.connect(client, options)
    return raw
  }
}
