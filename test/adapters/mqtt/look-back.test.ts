import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Publish } from '../../../adapters/publish.ts'
import { MESSAGES_STREAM } from '../../../platform/bus/streams.ts'
import { Unavailable } from '../../../platform/errors.ts'
import { announce, AuthorityTables } from '../../support/authority.ts'
import type { Channel, Client } from '../../support/authority.ts'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'
import { addMember, eventually, PUBLISH, RawClient, startMqttGateway, topicOf } from './support.ts'
import type { TestGateway } from './support.ts'

const NODES = { heartbeatMs: 50, leaseMs: 400 }
/** The shortest there is, in place of two minutes. */
const WINDOW_NS = 100_000_000

let testBus: TestBus
let tables: AuthorityTables
let healthy: TestGateway
let channel: Channel
let member: Client
let clientId: string
let topic: string

beforeAll(async () => {
  testBus = await startTestBus()
  const manager = await testBus.bus.connection.jetstreamManager()
  await manager.streams.update(MESSAGES_STREAM, { duplicate_window: WINDOW_NS })
  tables = new AuthorityTables()
  healthy = await startMqttGateway(await testBus.connect(), { tables, nodes: NODES })
})
afterAll(async () => {
  await healthy.stop()
  await testBus.stop()
})
beforeEach(() => {
  channel = tables.addChannel()
  member = addMember(tables, channel)
  clientId = randomUUID()
  topic = topicOf(channel, 'a')
})

/** Whose publications may reach the stream, while it hears nothing of them until it is no more. */
async function startDeaf({ isHeard = true } = {}): Promise<{
  gateway: TestGateway
  kill: () => Promise<void>
}> {
  const bus = await testBus.connect()
  const unanswered: (() => void)[] = []
  const publish =
    (real: Publish): Publish =>
    (message, done) => {
      unanswered.push(() => done(new Unavailable('killed')))
      if (isHeard) real(message, () => undefined)
    }
  const gateway = await startMqttGateway(bus, { tables, nodes: NODES, publish })
  onTestFinished(async () => {
    for (const give of unanswered) give()
    await gateway.adapter.stop()
  })
  return { gateway, kill: () => bus.connection.close() }
}

async function open({ port }: { readonly port: number }, version: 4 | 5 = 4): Promise<RawClient> {
  const raw = new RawClient(port, version)
  onTestFinished(() => raw.end())
  const properties = version === 5 ? { sessionExpiryInterval: 600 } : {}
  await raw.connect(member, { clientId, clean: false, properties })
  return raw
}

function send(raw: RawClient, payload: string, { dup = false, messageId = 7 } = {}): void {
  raw.send({ ...PUBLISH, qos: 2, topic, payload, dup, messageId })
}

/** What the stream has of the channel, in order. */
async function stored(): Promise<string[]> {
  const manager = await testBus.bus.connection.jetstreamManager()
  const filter = `m.${channel.domainId}.c.${channel.id}.>`
  const { state } = await manager.streams.info(MESSAGES_STREAM, { subjects_filter: filter })
  const payloads: string[] = []
  for (let seq = state.first_seq; seq <= state.last_seq; seq += 1) {
    const { subject, data } = await manager.streams.getMessage(MESSAGES_STREAM, { seq })
    if (subject.includes(channel.id)) payloads.push(Buffer.from(data).toString())
  }
  return payloads
}

/** Resolves when the stream knows none of the names any more that it knows now. */
async function windowOver(): Promise<void> {
  const name = randomUUID()
  const put = () =>
    testBus.bus.connection.jetstream().publish(`m.${randomUUID()}.c.other`, 'x', { msgID: name })
  await put()
  await eventually(async () => expect((await put()).duplicate).toBe(false))
}

describe('a QoS 2 publication that the stream has and the session does not know of', () => {
  it('is the same one when its client comes back after the stream has forgotten its name', async () => {
    const { gateway, kill } = await startDeaf()
    const first = await open(gateway)
    send(first, 'once')
    send(first, 'and this', { messageId: 8 })
    await eventually(async () => expect(await stored()).toEqual(['once', 'and this']))
    await kill()
    await windowOver()
    const second = await open(healthy)
    send(second, 'once', { dup: true })
    send(second, 'and this', { dup: true, messageId: 8 })
    send(second, 'new', { messageId: 9 })
    for (const messageId of [7, 8, 9]) expect((await second.next('pubrec')).messageId).toBe(messageId)
    expect(await stored()).toEqual(['once', 'and this', 'new'])
  })

  it('is the same one when the stream was said to be away, and the connection closed over it', async () => {
    const gateway = await startMqttGateway(await testBus.connect(), {
      tables,
      nodes: NODES,
      publish: (real) => (message, done) => real(message, () => done(new Unavailable('nobody knows'))),
    })
    onTestFinished(() => gateway.stop())
    const first = await open(gateway)
    send(first, 'once')
    await first.closed()
    await windowOver()
    const second = await open(healthy)
    send(second, 'once', { dup: true })
    await second.next('pubrec')
    expect(await stored()).toEqual(['once'])
  })
})

describe('a QoS 2 publication that never came to the stream', () => {
  it('is put there, before what the client published behind it', async () => {
    const { gateway, kill } = await startDeaf({ isHeard: false })
    const first = await open(gateway)
    send(first, 'lost')
    // Behind it on the wire: it is taken, and on file.
    send(first, 'too', { messageId: 8 })
    await first.ping()
    await eventually(async () => expect(await receiptsOnFile()).toBe(2))
    await kill()
    const second = await open(healthy)
    send(second, 'lost', { dup: true })
    send(second, 'too', { dup: true, messageId: 8 })
    send(second, 'new', { messageId: 9 })
    await second.next('pubrec')
    await second.next('pubrec')
    await second.next('pubrec')
    expect(await stored()).toEqual(['lost', 'too', 'new'])
  })

  it('is another one under the same identifier once it was refused', async () => {
    const { gateway, kill } = await startDeaf()
    const first = await open(gateway, 5)
    send(first, 'once')
    await eventually(async () => expect(await stored()).toEqual(['once']))
    await kill()
    tables.forbid(member, channel)
    const second = await open(healthy, 5)
    send(second, 'once', { dup: true })
    expect((await second.next('pubrec')).reasonCode).toBe(0x87)
    second.end()
    tables.allow(member, channel, 'publish')
    await announce(healthy.bus, {
      operation: 'channel.connect',
      domain_id: channel.domainId,
      entity_id: channel.id,
    })
    const third = await open(healthy, 5)
    send(third, 'another')
    expect((await third.next('pubrec')).reasonCode).toBe(0)
    expect(await stored()).toEqual(['once', 'another'])
  })
})

async function receiptsOnFile(): Promise<number> {
  const manager = await testBus.bus.connection.jetstreamManager()
  const { data } = await manager.streams.getMessage('sessions', {
    last_by_subj: `sessions.${member.domainId}.${member.id}.*`,
  })
  return (JSON.parse(Buffer.from(data).toString()) as { receipts: unknown[] }).receipts.length
}
