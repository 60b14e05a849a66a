import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { MESSAGES_STREAM } from '../../../platform/bus/streams.ts'
import { AuthorityTables } from '../../support/authority.ts'
import type { Channel, Client } from '../../support/authority.ts'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'
import { addMember, LIMITS, RawClient, startMqttGateway, topicOf } from './support.ts'
import type { TestGateway } from './support.ts'

const NODES = { heartbeatMs: 50, leaseMs: 400 }
/** More than a client has in flight. */
const COUNT = LIMITS.maxInflight + 5

let testBus: TestBus
let tables: AuthorityTables
let a: TestGateway
let b: TestGateway
let channel: Channel
let member: Client
let publisher: RawClient
let clientId: string

beforeAll(async () => {
  testBus = await startTestBus()
  tables = new AuthorityTables()
  a = await startMqttGateway(await testBus.connect(), { tables, nodes: NODES })
  b = await startMqttGateway(await testBus.connect(), { tables, nodes: NODES })
})
afterAll(async () => {
  await a.stop()
  await b.stop()
  await testBus.stop()
})
beforeEach(async () => {
  channel = tables.addChannel()
  member = addMember(tables, channel)
  clientId = randomUUID()
  publisher = await open(b, { clientId: randomUUID() })
})

async function open(
  { port }: { readonly port: number },
  options: Parameters<RawClient['connect']>[1] = {},
): Promise<RawClient> {
  const raw = new RawClient(port)
  onTestFinished(() => raw.end())
  await raw.connect(member, { clientId, clean: false, ...options })
  return raw
}

const payloads = Array.from({ length: COUNT }, (_, index) => String(index))

async function retain(qos: 1 | 2): Promise<void> {
  for (const payload of payloads) await publish(qos, payload, payload)
  // What comes from now on comes from the retained ones alone.
  const manager = await testBus.bus.connection.jetstreamManager()
  await manager.streams.purge(MESSAGES_STREAM)
}

async function publish(qos: 1 | 2, level: string, payload: string): Promise<void> {
  const topic = topicOf(channel, level)
  publisher.send({ cmd: 'publish', topic, payload, qos, messageId: 1, retain: true, dup: false })
  if (qos === 1) return void (await publisher.next('puback'))
  await publisher.next('pubrec')
  publisher.send({ cmd: 'pubrel', messageId: 1 })
  await publisher.next('pubcomp')
}

/** Takes so many messages, and acknowledges each of QoS 1. */
async function take(raw: RawClient, count: number): Promise<{ text: string; dup: boolean; id: number }[]> {
  const taken: { text: string; dup: boolean; id: number }[] = []
  while (taken.length < count) {
    const { text, dup, id, qos, retain: isRetained } = await raw.message()
    expect(isRetained).toBe(true)
    taken.push({ text, dup, id })
    if (qos === 1) raw.send({ cmd: 'puback', messageId: id })
    else raw.send({ cmd: 'pubrec', messageId: id })
  }
  return taken
}

/** What has come and was not asked for. */
const textsOf = ({ packets }: RawClient): string[] =>
  packets.flatMap((each) => (each.cmd === 'publish' ? [each.payload.toString()] : []))

describe('retained messages on their way to a session that outlives its connection', () => {
  it('come to the end in another process, those in flight again and those that waited once', async () => {
    await retain(1)
    const first = await open(a)
    await first.subscribe(topicOf(channel, '#'))
    const inFlight = []
    while (inFlight.length < LIMITS.maxInflight) inFlight.push(await first.message())
    first.send({ cmd: 'puback', messageId: inFlight[0]?.id ?? 0 })
    inFlight.push(await first.message())
    first.send({ cmd: 'disconnect' })
    await first.closed()
    const second = await open(b)
    const taken = await take(second, COUNT - 1)
    expect(taken.map(({ text }) => text)).toEqual(payloads.slice(1))
    expect(taken.filter(({ dup }) => dup).map(({ id }) => id)).toEqual(inFlight.slice(1).map(({ id }) => id))
    await second.ping()
    expect(second.packets).toEqual([])
    second.send({ cmd: 'disconnect' })
    await second.closed()
    const third = await open(a)
    await third.ping()
    expect(third.packets).toEqual([])
  })

  it('come with QoS 2 exactly once when their process is killed', async () => {
    await retain(2)
    const bus = await testBus.connect()
    const doomed = await startMqttGateway(bus, { tables, nodes: NODES })
    onTestFinished(() => doomed.adapter.stop())
    const first = await open(doomed)
    await first.subscribe(topicOf(channel, '#'), { qos: 2 })
    await first.message()
    await bus.connection.close()
    first.end()
    const got = new Set(['0', ...textsOf(first)])
    const second = await open(b)
    const all = new Set(got)
    const fresh: string[] = []
    while (all.size < COUNT) {
      const { text, dup, id } = await second.message()
      all.add(text)
      if (!dup) fresh.push(text)
      second.send({ cmd: 'pubrec', messageId: id }, { cmd: 'pubcomp', messageId: id })
    }
    expect(fresh.filter((text) => got.has(text))).toEqual([])
    expect(new Set(fresh).size).toBe(fresh.length)
    await second.ping()
    expect(textsOf(second)).toEqual([])
  })

  it('that were replaced or taken away meanwhile come as what they are now', async () => {
    await retain(1)
    const first = await open(a)
    await first.subscribe(topicOf(channel, '#'))
    await first.message()
    first.send({ cmd: 'disconnect' })
    await first.closed()
    const last = String(COUNT - 1)
    await publish(1, '0', 'new')
    await publish(1, last, '')
    const second = await open(b)
    const seen = new Map<string, string>()
    while (seen.size < COUNT) {
      const { topic, text, id } = await second.message()
      const level = topic.slice(topic.lastIndexOf('/') + 1)
      expect(seen.has(level)).toBe(false)
      seen.set(level, text)
      second.send({ cmd: 'puback', messageId: id })
    }
    expect([seen.get('0'), seen.get('1'), seen.get(last)]).toEqual(['new', '1', ''])
  })
})
