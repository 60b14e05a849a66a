import { randomUUID } from 'node:crypto'
import { beforeAll, beforeEach, onTestFinished } from 'vitest'
import { AuthorityTables } from '../../../support/authority.ts'
import type { Channel, Client } from '../../../support/authority.ts'
import { startTestBus } from '../../../support/bus.ts'
import type { TestBus } from '../../../support/bus.ts'
import type { PacketOf } from '../../../support/mqtt-packets.ts'
import { addMember, PUBLISH, RawClient, startMqttGateway, topicOf } from '../support.ts'
import type { TestGateway } from '../support.ts'

/**
 * The statements of aedes-persistence's test suite are shown between two nodes on one NATS server: what the clients of one
 * store is looked up by clients of the other. What only one process sees is not stored.
 */
export interface TwoNodes {
  /** One more, for one test. */
  readonly start: () => Promise<TestGateway>
  /** One more, and how to end it without a word. */
  readonly startDoomed: () => Promise<{ doomed: TestGateway; kill: () => Promise<void> }>
  /** A topic or filter on the channel of this test. */
  readonly topic: (level: string) => string
  /** Signs in with MQTT 5. Without more the session ends with the connection. */
  readonly open: (node: Node, options?: ConnectOptions) => Promise<RawClient>
  /** Signs in to a session that is kept. */
  readonly keep: (node: Node, clientId: string, options?: ConnectOptions) => Promise<RawClient>
  /** Publishes, with QoS 1 unless told otherwise, and waits until that is done. */
  readonly publish: (
    node: Node,
    level: string,
    payload: string,
    options?: Partial<PacketOf<'publish'>>,
  ) => Promise<void>
  /** What is on its way to a client: all that comes ahead of what is published for it now. Acknowledges it. */
  readonly rest: (raw: RawClient) => Promise<Heard[]>
}

type Node = 'a' | 'b' | TestGateway
type ConnectOptions = Partial<PacketOf<'connect'>>
export type Heard = Awaited<ReturnType<RawClient['message']>>

export function useTwoNodes(): TwoNodes {
  const tables = new AuthorityTables()
  let testBus: TestBus
  let a: TestGateway
  let b: TestGateway
  let channel: Channel
  let member: Client
  const publishers = new Map<Node, RawClient>()

  const startOn = (bus: TestBus['bus']) =>
    startMqttGateway(bus, { tables, nodes: { heartbeatMs: 50, leaseMs: 400 } })
  const topic = (level: string): string => topicOf(channel, level)

  beforeAll(async () => {
    testBus = await startTestBus()
    a = await startOn(await testBus.connect())
    b = await startOn(await testBus.connect())
    return async () => {
      await a.stop()
      await b.stop()
      await testBus.stop()
    }
  })
  beforeEach(() => {
    channel = tables.addChannel()
    member = addMember(tables, channel)
    publishers.clear()
  })

  async function open(node: Node, options: ConnectOptions = {}): Promise<RawClient> {
    const { port } = node === 'a' ? a : node === 'b' ? b : node
    const raw = new RawClient(port, 5)
    onTestFinished(() => raw.end())
    await raw.connect(member, { clientId: randomUUID(), ...options })
    return raw
  }

  async function publish(
    node: Node,
    level: string,
    payload: string,
    options: Partial<PacketOf<'publish'>> = {},
  ): Promise<void> {
    const raw = publishers.get(node) ?? (await open(node))
    publishers.set(node, raw)
    if (options.qos !== 2) return void (await raw.publish(topic(level), { payload, ...options }))
    raw.send({ ...PUBLISH, topic: topic(level), payload, ...options })
    const { messageId } = await raw.next('pubrec')
    raw.send({ cmd: 'pubrel', messageId })
    await raw.next('pubcomp')
  }

  return {
    async start() {
      const gateway = await startOn(await testBus.connect())
      onTestFinished(() => gateway.stop())
      return gateway
    },
    async startDoomed() {
      const bus = await testBus.connect()
      const doomed = await startOn(bus)
      onTestFinished(() => doomed.stop())
      return { doomed, kill: () => bus.connection.close() }
    },
    topic,
    open,
    keep: (node, clientId, options = {}) =>
      open(node, { clientId, clean: false, properties: { sessionExpiryInterval: 600 }, ...options }),
    publish,
    async rest(raw) {
      const last = randomUUID()
      await raw.subscribe(topic(last))
      await publish('a', last, last)
      const heard: Heard[] = []
      for (;;) {
        const message = await raw.message()
        await acknowledge(raw, message)
        if (message.text === last) break
        heard.push(message)
      }
      await unsubscribe(raw, topic(last))
      return heard
    },
  }
}

export async function acknowledge(raw: RawClient, { qos, id }: Heard): Promise<void> {
  if (qos === 1) raw.send({ cmd: 'puback', messageId: id })
  if (qos !== 2) return
  raw.send({ cmd: 'pubrec', messageId: id })
  await raw.next('pubrel')
  raw.send({ cmd: 'pubcomp', messageId: id })
}

export async function unsubscribe(raw: RawClient, ...unsubscriptions: string[]): Promise<void> {
  raw.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions })
  await raw.next('unsuback')
}

/** Ends the connection as a client does that comes back. */
export async function leave(raw: RawClient): Promise<void> {
  raw.send({ cmd: 'disconnect', reasonCode: 0 })
  await raw.closed()
}

/** Ends the connection without a word. */
export async function cut(raw: RawClient): Promise<void> {
  raw.end()
  await raw.closed()
}

export const textsOf = (heard: readonly Heard[]): string[] => heard.map(({ text }) => text)
