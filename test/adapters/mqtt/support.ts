import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import type { Socket } from 'node:net'
import { connectAsync } from 'mqtt'
import type { IClientOptions, MqttClient } from 'mqtt'
import { generate, parser } from 'mqtt-packet'
import type { Packet } from 'mqtt-packet'
import { afterAll, beforeAll, vi } from 'vitest'
import { createAuthority } from '../../../adapters/authority-cache.ts'
import { startTraffic } from '../../../adapters/traffic.ts'
import { createMqttAdapter } from '../../../adapters/mqtt/adapter.ts'
import type { MqttAdapter } from '../../../adapters/mqtt/adapter.ts'
import type { MqttLimits } from '../../../adapters/mqtt/host.ts'
import type { CheckPayload } from '../../../adapters/mqtt/inbound.ts'
import { listenMqtt } from '../../../adapters/mqtt/listen.ts'
import { createPublish } from '../../../adapters/publish.ts'
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

export const LIMITS: MqttLimits = {
  maxPacketBytes: 64 * 1024,
  topics: TOPIC_LIMITS,
  connectTimeoutMs: 5_000,
  maxSubscriptionsPerRequest: 8,
  maxSubscriptions: 100,
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
  const traffic = startTraffic({ sink: { report: () => Promise.resolve() }, log })
  const adapter = await createMqttAdapter({
    traffic,
    authority,
    publish: options.publish?.(publish) ?? publish,
    feed: createChannelFeed(bus),
    cluster: { bus, publisher, nodes },
    log,
    metrics,
    limits: { ...LIMITS, ...options.limits },
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

/** A PUBLISH to be completed with its topic. */
export const PUBLISH = {
  cmd: 'publish',
  payload: 'x',
  qos: 1,
  messageId: 1,
  dup: false,
  retain: false,
} as const

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

/** A connection that speaks in packets, well-formed or not, and hears what comes back. */
export class RawClient {
  readonly socket: Socket
  readonly packets: Packet[] = []
  /** All that came, as it came: mqtt-packet's reading forgets the order of properties. */
  bytes: Buffer = Buffer.alloc(0)
  isClosed = false
  #onChange: () => void = () => undefined
  readonly #version: 4 | 5

  constructor(port: number, version: 4 | 5 = 4) {
    this.#version = version
    this.socket = connectTcp(port, '127.0.0.1')
    this.socket.setNoDelay(true)
    const incoming = parser({ protocolVersion: version })
    incoming.on('packet', (packet) => {
      this.packets.push(packet)
      this.#onChange()
    })
    this.socket.on('data', (bytes: Buffer) => {
      this.bytes = Buffer.concat([this.bytes, bytes])
      incoming.parse(bytes)
    })
    this.socket.on('error', () => undefined)
    this.socket.on('close', () => {
      this.isClosed = true
      this.#onChange()
    })
  }

  write(bytes: Uint8Array | readonly number[]): void {
    this.socket.write(bytes instanceof Uint8Array ? bytes : Uint8Array.from(bytes))
  }

  send(...packets: Packet[]): void {
    this.write(encode(this.#version, ...packets))
  }

  /** Signs in and waits for CONNACK. */
  async connect(client: Client, options: Partial<Extract<Packet, { cmd: 'connect' }>> = {}): Promise<Packet> {
    this.send(connectPacket(this.#version, client, options))
    return this.next('connack')
  }

  /** Takes the first packet of the kind out of those that came, or waits for it. */
  async next<C extends Packet['cmd']>(cmd: C): Promise<Extract<Packet, { cmd: C }>> {
    for (;;) {
      const index = this.packets.findIndex((packet) => packet.cmd === cmd)
      if (index >= 0) return this.packets.splice(index, 1)[0] as Extract<Packet, { cmd: C }>
      if (this.isClosed) throw new Error(`connection closed while waiting for ${cmd}`)
      await new Promise<void>((resolve) => {
        this.#onChange = resolve
      })
    }
  }

  async closed(): Promise<void> {
    if (!this.isClosed) await once(this.socket, 'close')
  }

  end(): void {
    this.socket.destroy()
  }
}

export function connectPacket(
  version: 4 | 5,
  client: Client,
  options: Partial<Extract<Packet, { cmd: 'connect' }>> = {},
): Packet {
  return {
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: version,
    clean: true,
    clientId: 'raw',
    keepalive: 60,
    username: client.id,
    password: Buffer.from(client.secret),
    ...options,
  }
}

export function encode(version: 4 | 5, ...packets: Packet[]): Buffer {
  return Buffer.concat(packets.map((packet) => generate(packet, { protocolVersion: version })))
}
