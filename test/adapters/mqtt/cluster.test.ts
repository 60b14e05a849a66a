import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Packet } from 'mqtt-packet'
import { AuthorityTables } from '../../support/authority.ts'
import type { Channel, Client } from '../../support/authority.ts'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'
import {
  addMember,
  collect,
  connectClient,
  eventually,
  PUBLISH,
  RawClient,
  startMqttGateway,
  topicOf,
} from './support.ts'
import type { TestGateway } from './support.ts'

/** Two processes' adapters on one NATS server, each with a connection of its own. */
let testBus: TestBus
let tables: AuthorityTables
let a: TestGateway
let b: TestGateway
let channel: Channel
let member: Client

const NODES = { heartbeatMs: 50, leaseMs: 400 }

beforeAll(async () => {
  testBus = await startTestBus()
  tables = new AuthorityTables()
  a = await startMqttGateway(await testBus.connect(), { tables, nodes: NODES })
  b = await startMqttGateway(await testBus.connect(), { tables, nodes: NODES })
  channel = tables.addChannel()
  member = addMember(tables, channel)
})
afterAll(async () => {
  await a.stop()
  await b.stop()
  await testBus.stop()
})

type ConnectOptions = Partial<Extract<Packet, { cmd: 'connect' }>>

async function open(
  gateway: { readonly port: number },
  options: ConnectOptions,
  version: 4 | 5 = 4,
): Promise<{ raw: RawClient; isPresent: boolean }> {
  const raw = new RawClient(gateway.port, version)
  const connack = await raw.connect(member, { clean: false, ...options })
  return { raw, isPresent: 'sessionPresent' in connack && connack.sessionPresent }
}

async function subscribe(raw: RawClient, topic: string, qos: 0 | 1 | 2): Promise<void> {
  raw.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos }] })
  expect((await raw.next('suback')).granted).toEqual([qos])
}

/** Publishes one after the other, each acknowledged. */
async function publish(
  gateway: TestGateway,
  topic: string,
  payloads: string[],
  qos: 1 | 2 = 1,
): Promise<void> {
  const client = await connectClient(gateway, member, { clientId: randomUUID() })
  for (const payload of payloads) await client.publishAsync(topic, payload, { qos })
  await client.endAsync()
}

describe('a session', () => {
  it('is gone on with in another process, with its subscriptions and what came meanwhile', async () => {
    const clientId = randomUUID()
    const topic = topicOf(channel, clientId)
    const first = await open(a, { clientId })
    expect(first.isPresent).toBe(false)
    await subscribe(first.raw, topic, 2)
    first.raw.send({ cmd: 'disconnect' })
    await first.raw.closed()
    await publish(a, topic, ['1', '2'], 1)
    await publish(b, topic, ['3'], 2)
    const second = await open(b, { clientId })
    expect(second.isPresent).toBe(true)
    for (const payload of ['1', '2', '3']) {
      expect((await second.raw.next('publish')).payload.toString()).toBe(payload)
    }
    await publish(a, topic, ['4'])
    expect((await second.raw.next('publish')).payload.toString()).toBe('4')
    second.raw.end()
  })

  it('is taken over from another process, which tells the client and loses nothing', async () => {
    const clientId = randomUUID()
    const topic = topicOf(channel, clientId)
    const properties = { sessionExpiryInterval: 600 }
    const { raw: old } = await open(a, { clientId, properties }, 5)
    await subscribe(old, topic, 1)
    await publish(a, topic, ['unacknowledged'])
    const sent = await old.next('publish')
    const { raw, isPresent } = await open(b, { clientId, properties }, 5)
    expect((await old.next('disconnect')).reasonCode).toBe(0x8e)
    expect(isPresent).toBe(true)
    // [MQTT-4.4.0-1]
    expect(await raw.next('publish')).toMatchObject({ messageId: sent.messageId, dup: true, topic })
    raw.end()
  })

  it('that ends with its connection is noticed under the same name in another process', async () => {
    const clientId = randomUUID()
    const { raw: old } = await open(a, { clientId, clean: true }, 5)
    const { raw, isPresent } = await open(b, { clientId, clean: true }, 5)
    expect((await old.next('disconnect')).reasonCode).toBe(0x8e)
    expect(isPresent).toBe(false)
    raw.end()
  })

  it('goes on with QoS 2 where another process left it', async () => {
    const clientId = randomUUID()
    const topic = topicOf(channel, clientId)
    const { raw: first } = await open(a, { clientId })
    await subscribe(first, topic, 2)
    await publish(a, topic, ['released', 'sent'], 2)
    const released = await first.next('publish')
    const sent = await first.next('publish')
    first.send({ cmd: 'pubrec', messageId: released.messageId ?? 0 })
    await first.next('pubrel')
    first.end()
    const { raw: second } = await open(b, { clientId })
    expect((await second.next('pubrel')).messageId).toBe(released.messageId)
    expect(await second.next('publish')).toMatchObject({ messageId: sent.messageId, dup: true })
    second.end()
  })

  it('ends when its client asks for a clean one elsewhere', async () => {
    const clientId = randomUUID()
    const { raw: first } = await open(a, { clientId })
    await subscribe(first, topicOf(channel, clientId), 1)
    first.end()
    const { raw: clean } = await open(b, { clientId, clean: true })
    clean.end()
    await clean.closed()
    const { raw, isPresent } = await open(a, { clientId })
    expect(isPresent).toBe(false)
    raw.end()
  })
})

describe('a QoS 2 publication', () => {
  it('that is sent again to another process is the same one', async () => {
    const clientId = randomUUID()
    const topic = topicOf(channel, clientId)
    const listener = await connectClient(b, member, { clientId: randomUUID() })
    const received = collect(listener)
    await listener.subscribeAsync(topic, { qos: 2 })
    const { raw: first } = await open(a, { clientId })
    first.send({ ...PUBLISH, qos: 2, messageId: 7, topic, payload: 'once' })
    await first.next('pubrec')
    first.end()
    const { raw: second } = await open(b, { clientId })
    second.send({ ...PUBLISH, qos: 2, messageId: 7, topic, payload: 'once', dup: true })
    await second.next('pubrec')
    second.send({ cmd: 'pubrel', messageId: 7 })
    await second.next('pubcomp')
    second.send({ ...PUBLISH, qos: 2, messageId: 7, topic, payload: 'another' })
    await second.next('pubrec')
    await eventually(() => expect(received.map(({ payload }) => payload)).toEqual(['once', 'another']))
    second.end()
    await listener.endAsync()
  })
})

describe('a process that dies', () => {
  /** A third one, which nobody asks to end. */
  async function startDoomed(): Promise<{ gateway: TestGateway; kill: () => Promise<void> }> {
    const bus = await testBus.connect()
    const gateway = await startMqttGateway(bus, { tables, nodes: NODES })
    return { gateway, kill: () => bus.connection.close() }
  }

  it('leaves its sessions to others, with QoS 2 to the letter and the wills to be sent', async () => {
    const { gateway: doomed, kill } = await startDoomed()
    const clientId = randomUUID()
    const topic = topicOf(channel, clientId)
    const willTopic = topicOf(channel, `${clientId}-will`)
    const witness = await connectClient(b, member, { clientId: randomUUID() })
    const wills = collect(witness)
    await witness.subscribeAsync(willTopic, { qos: 1 })
    const will = { topic: willTopic, payload: Buffer.from('gone'), qos: 1, retain: false } as const
    const { raw: first } = await open(doomed, { clientId, will })
    await subscribe(first, topic, 2)
    await publish(a, topic, ['1', '2', '3'], 2)
    const sent = [await first.next('publish'), await first.next('publish'), await first.next('publish')]
    const ids = sent.map(({ messageId }) => messageId ?? 0)
    for (const messageId of ids.slice(0, 2)) {
      first.send({ cmd: 'pubrec', messageId })
      await first.next('pubrel')
    }
    first.send({ cmd: 'pubcomp', messageId: ids[0] ?? 0 })
    await kill()
    await eventually(() => expect(wills.map(({ payload }) => payload)).toEqual(['gone']))
    await publish(a, topic, ['4'], 2)
    const { raw: second, isPresent } = await open(b, { clientId })
    expect(isPresent).toBe(true)
    const resent = await second.next('publish')
    expect(resent).toMatchObject({ messageId: ids[2], dup: true })
    expect((await second.next('publish')).payload.toString()).toBe('4')
    // The first may be said to be released again: its PUBCOMP was perhaps not on file yet.
    const released = second.packets.filter(({ cmd }) => cmd === 'pubrel').map((packet) => packet.messageId)
    expect(released).toContain(ids[1])
    expect(released).not.toContain(ids[2])
    second.end()
    await witness.endAsync()
    await doomed.adapter.stop()
  })
})

describe('a delayed will', () => {
  const expiry = { sessionExpiryInterval: 600 }

  it('is not sent when the client comes back in time, to whatever process', async () => {
    const clientId = randomUUID()
    const willTopic = topicOf(channel, `${clientId}-will`)
    const witness = await connectClient(b, member, { clientId: randomUUID() })
    const wills = collect(witness)
    await witness.subscribeAsync(willTopic, { qos: 1 })
    const connect = {
      clientId,
      properties: expiry,
      will: {
        topic: willTopic,
        payload: Buffer.from('gone'),
        qos: 1,
        retain: false,
        properties: { willDelayInterval: 2 },
      },
    } as const
    const { raw: first } = await open(a, connect, 5)
    first.end()
    const { raw: second } = await open(b, connect, 5)
    // Nor when that one is clean at its end.
    second.send({ cmd: 'disconnect', reasonCode: 0 })
    await second.closed()
    const { raw: third } = await open(a, connect, 5)
    third.end()
    const from = Date.now()
    await eventually(() => expect(wills).toHaveLength(1))
    expect(Date.now() - from).toBeGreaterThan(1_000)
    await witness.endAsync()
  })
})

describe('a retained message', () => {
  it('is there in every process as soon as one has acknowledged it, and gone as soon as one has taken it away', async () => {
    const topic = topicOf(channel, randomUUID())
    const { raw: publisher } = await open(a, { clientId: randomUUID() })
    const retained = async (gateway: TestGateway): Promise<string | undefined> => {
      const { raw } = await open(gateway, { clientId: randomUUID() })
      await subscribe(raw, topic, 1)
      raw.send({ cmd: 'pingreq' })
      await raw.next('pingresp')
      raw.end()
      return raw.packets.find((packet) => packet.cmd === 'publish')?.payload.toString()
    }
    for (const payload of ['first', 'second', '']) {
      publisher.send({ ...PUBLISH, topic, payload, retain: true })
      await publisher.next('puback')
      for (const gateway of [a, b]) expect(await retained(gateway)).toBe(payload || undefined)
    }
    publisher.end()
  })

  it('outlives all processes', async () => {
    const topic = topicOf(channel, randomUUID())
    const doomed = await startMqttGateway(await testBus.connect(), { tables, nodes: NODES })
    const client = await connectClient(doomed, member, { clientId: randomUUID() })
    await client.publishAsync(topic, 'kept', { qos: 1, retain: true })
    await client.endAsync()
    await doomed.stop()
    const next = await startMqttGateway(await testBus.connect(), { tables, nodes: NODES })
    const { raw } = await open(next, { clientId: randomUUID() })
    await subscribe(raw, topic, 1)
    expect(await raw.next('publish')).toMatchObject({ retain: true, qos: 1 })
    raw.end()
    await next.stop()
  })
})
