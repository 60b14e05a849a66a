import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { AuthorityTables } from '../../support/authority.ts'
import type { Channel, Client } from '../../support/authority.ts'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'
import { eventually, PUBLISH, RawClient, startMqttGateway, topicOf } from './support.ts'
import type { TestGateway } from './support.ts'

const KIB = 1024
const LIMITS = { maxSessionBytes: 8 * KIB, maxDomainSessionBytes: 32 * KIB, maxSubscriptions: 10_000 }
const KEPT = { sessionExpiryInterval: 600 }
const QUOTA_EXCEEDED = 0x97
const NAME = 'device'

/** Two processes' adapters on one NATS server. */
let testBus: TestBus
let tables: AuthorityTables
let a: TestGateway
let b: TestGateway
const opened: RawClient[] = []

beforeAll(async () => {
  testBus = await startTestBus()
  tables = new AuthorityTables()
  a = await startMqttGateway(await testBus.connect(), { tables, limits: LIMITS })
  b = await startMqttGateway(await testBus.connect(), { tables, limits: LIMITS })
})
afterEach(() => {
  for (const raw of opened.splice(0)) raw.end()
})
afterAll(async () => {
  await a.stop()
  await b.stop()
  await testBus.stop()
})

/** A client of a domain of its own, and a channel it may use. */
function givenTenant(): { client: Client; channel: Channel } {
  const domainId = randomUUID()
  const channel = tables.addChannel({ domainId, domainRoute: domainId })
  const client = tables.addClient({ domainId })
  tables.allow(client, channel, 'publish', 'subscribe')
  return { client, channel }
}

/** Connects under a name, to a session that is kept. @returns the connection, and what CONNACK says */
async function open(
  gateway: TestGateway,
  client: Client,
  clientId: string,
): Promise<{ raw: RawClient; code: number | undefined; isPresent: boolean }> {
  const raw = new RawClient(gateway.port, 5)
  opened.push(raw)
  const { reasonCode, sessionPresent } = await raw.connect(client, {
    clean: false,
    clientId,
    properties: KEPT,
  })
  return { raw, code: reasonCode, isPresent: sessionPresent }
}

async function leave(raw: RawClient): Promise<void> {
  raw.send({ cmd: 'disconnect' })
  await raw.closed()
}

/** Lets ever more clients of a domain make a session each, until one is refused. @returns those that were not */
async function fill(gateway: TestGateway, domainId: string): Promise<Client[]> {
  const clients: Client[] = []
  for (;;) {
    const client = tables.addClient({ domainId })
    const { raw, code } = await open(gateway, client, NAME)
    if (code !== 0) {
      expect(code).toBe(QUOTA_EXCEEDED)
      return clients
    }
    clients.push(client)
    await leave(raw)
  }
}

describe('when the stream of all sessions is full', () => {
  it('what needs room there is refused and all else goes on', async () => {
    const { client, channel } = givenTenant()
    const { raw } = await open(a, client, 'here')
    expect(await raw.subscribe(topicOf(channel, 'before'))).toEqual([1])
    const manager = await testBus.bus.connection.jetstreamManager()
    const { config, state } = await manager.streams.info('sessions')
    await manager.streams.update('sessions', { ...config, max_bytes: state.bytes })
    try {
      expect(await raw.subscribe([topicOf(channel, 'after'), topicOf(channel, 'before')])).toEqual([
        QUOTA_EXCEEDED,
        1,
      ])
      expect((await open(a, client, randomUUID())).code).toBe(QUOTA_EXCEEDED)
      await raw.publish(topicOf(channel, 'before'), { payload: 'live' })
      expect((await raw.message()).text).toBe('live')
    } finally {
      await manager.streams.update('sessions', config)
    }
  })
})

describe('a session that is kept', () => {
  it('is refused the filters that make it too large, and goes on with those before', async () => {
    const { client, channel } = givenTenant()
    const { raw } = await open(a, client, 'large')
    const live = topicOf(channel, 'live')
    expect(await raw.subscribe(live)).toEqual([1])
    const wide = Array.from({ length: 3 }, (_, index) => topicOf(channel, `${index}`, 'x'.repeat(3_000)))
    expect(await raw.subscribe(wide)).toEqual(wide.map(() => QUOTA_EXCEEDED))
    expect(await raw.subscribe(wide.slice(0, 2))).toEqual([1, 1])
    expect(await raw.subscribe(wide.slice(1))).toEqual([1, QUOTA_EXCEEDED])
    await leave(raw)
    const back = await open(b, client, 'large')
    expect(back.isPresent).toBe(true)
    await back.raw.publish(live, { payload: 'still here' })
    expect((await back.raw.message()).text).toBe('still here')
    await back.raw.publish(wide[2] ?? '', { messageId: 2 })
    await back.raw.ping()
    expect(back.raw.packets.filter(({ cmd }) => cmd === 'publish')).toEqual([])
    expect(a.metrics.refused('mqtt', 'session_too_large').value).toBeGreaterThan(0)
  })

  it('takes no more publications of QoS 2 than it has room to remember', async () => {
    const { client, channel } = givenTenant()
    const { raw } = await open(a, client, NAME)
    const wide = topicOf(channel, 'x'.repeat(3_000))
    expect(await raw.subscribe([wide, `${wide}/y`])).toEqual([1, 1])
    const topic = topicOf(channel)
    const count = 150
    for (let messageId = 1; messageId <= count; messageId += 1)
      raw.send({ ...PUBLISH, qos: 2, messageId, topic })
    const codes = new Set<unknown>()
    for (let answer = 1; answer <= count; answer += 1) codes.add((await raw.next('pubrec')).reasonCode)
    expect(codes).toEqual(new Set([0, QUOTA_EXCEEDED]))
    await raw.ping()
  })
})

describe('a domain whose sessions take what one domain may', () => {
  it('gets no new ones in any process, goes on with those it has, and takes nothing from others', async () => {
    const { client, channel } = givenTenant()
    const { domainId } = client
    const [first = client, ...more] = await fill(a, domainId)
    expect(more.length).toBeGreaterThan(10)
    // The other process has written none of it, and looks when it has written a little itself.
    expect((await fill(b, domainId)).length).toBeLessThan(more.length)
    tables.allow(first, channel, 'subscribe')
    const back = await open(b, first, NAME)
    expect(back.isPresent).toBe(true)
    expect(await back.raw.subscribe(topicOf(channel))).toEqual([1])
    const other = givenTenant()
    expect((await open(b, other.client, NAME)).code).toBe(0)
    expect(b.metrics.refused('mqtt', 'domain_sessions_full').value).toBe(1)
  })

  it('tells clients before MQTT 5 that the server is not available', async () => {
    const { client } = givenTenant()
    await fill(a, client.domainId)
    const raw = new RawClient(a.port, 4)
    opened.push(raw)
    expect((await raw.connect(client, { clean: false, clientId: NAME })).returnCode).toBe(3)
  })

  it('gets new ones again once it gives some up, in whatever process', async () => {
    const { client } = givenTenant()
    for (const leaving of (await fill(a, client.domainId)).slice(0, 5)) {
      const raw = new RawClient(b.port, 5)
      await raw.connect(leaving, { clean: true, clientId: NAME })
      await leave(raw)
    }
    await eventually(async () => expect((await open(a, client, NAME)).code).toBe(0))
  })

  it('is not filled by a single client, which pushes out its own', async () => {
    const { client } = givenTenant()
    for (let count = 0; count < 60; count += 1) {
      const { raw, code } = await open(a, client, randomUUID())
      expect(code).toBe(0)
      await leave(raw)
    }
    expect(a.metrics.refused('mqtt', 'session_evicted').value).toBeGreaterThan(0)
  })
})
