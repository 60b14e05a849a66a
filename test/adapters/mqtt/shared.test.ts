import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
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

/** Two processes' adapters on one NATS server. */
let testBus: TestBus
let tables: AuthorityTables
let a: TestGateway
let b: TestGateway
let channel: Channel
let member: Client

beforeAll(async () => {
  testBus = await startTestBus()
  tables = new AuthorityTables()
  a = await startMqttGateway(await testBus.connect(), { tables })
  b = await startMqttGateway(await testBus.connect(), { tables })
  channel = tables.addChannel()
  member = addMember(tables, channel)
})
afterAll(async () => {
  await a.stop()
  await b.stop()
  await testBus.stop()
})

async function open(gateway: TestGateway, version: 4 | 5 = 5, clientId: string = randomUUID(), clean = true) {
  const raw = new RawClient(gateway.port, version)
  await raw.connect(member, {
    clientId,
    clean,
    ...(version === 5 && !clean ? { properties: { sessionExpiryInterval: 600 } } : {}),
  })
  return raw
}

async function subscribe(raw: RawClient, filter: string, qos: 0 | 1 | 2 = 1): Promise<void> {
  raw.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: filter, qos }] })
  expect((await raw.next('suback')).granted).toEqual([qos])
}

async function publish(topic: string, payloads: string[], qos: 1 | 2 = 1): Promise<void> {
  const client = await connectClient(a, member, { clientId: randomUUID() })
  await Promise.all(payloads.map((payload) => client.publishAsync(topic, payload, { qos })))
  await client.endAsync()
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => `m${index}`)

/** @returns what has come so far, acknowledged */
function take(raw: RawClient): string[] {
  const payloads: string[] = []
  for (const packet of raw.packets.splice(0)) {
    if (packet.cmd !== 'publish') continue
    payloads.push(packet.payload.toString())
    if (packet.qos === 1) raw.send({ cmd: 'puback', messageId: packet.messageId ?? 0 })
  }
  return payloads
}

describe('a shared subscription', () => {
  it('is offered in CONNACK of MQTT 5', async () => {
    const raw = new RawClient(a.port, 5)
    const connack = await raw.connect(member, { clientId: randomUUID() })
    expect(connack).toMatchObject({ properties: { sharedSubscriptionAvailable: true } })
    raw.end()
  })

  it('gives each message to one member of all processes, of MQTT 5 or before', async () => {
    const topic = topicOf(channel, randomUUID())
    const raws = [await open(a), await open(a, 4), await open(b), await open(b, 4)]
    for (const raw of raws) await subscribe(raw, `$share/group/${topic}/#`)
    await publish(`${topic}/x`, numbers(200))
    await publish(topic, ['itself'])
    const got = raws.map((): string[] => [])
    await eventually(() => {
      for (const [index, raw] of raws.entries()) got[index]?.push(...take(raw))
      expect(got.flat().length).toBeGreaterThanOrEqual(201)
    })
    expect(got.flat().sort()).toEqual([...numbers(200), 'itself'].sort())
    for (const each of got) expect(each.length).toBeGreaterThan(10)
    for (const raw of raws) raw.end()
  })

  it('is one group however its members write the channel, and another under another name', async () => {
    const level = randomUUID()
    const byRoute = `m/${channel.domainRoute}/c/${channel.route}/${level}`
    const [one, two, other] = [await open(a), await open(b), await open(b)]
    await subscribe(one, `$share/group/${topicOf(channel, level)}`)
    await subscribe(two, `$share/group/${byRoute}`)
    await subscribe(other, `$share/other/${byRoute}`)
    await publish(topicOf(channel, level), numbers(60))
    const got: string[] = []
    const alone: string[] = []
    await eventually(() => {
      got.push(...take(one), ...take(two))
      alone.push(...take(other))
      expect([got.length, alone.length]).toEqual([60, 60])
    })
    expect(got.sort()).toEqual(numbers(60).sort())
    for (const raw of [one, two, other]) raw.end()
  })

  it('hands over what a member that leaves has not acknowledged', async () => {
    const topic = topicOf(channel, randomUUID())
    const [leaver, stayer] = [await open(a), await open(b)]
    await subscribe(leaver, `$share/group/${topic}`)
    await subscribe(stayer, `$share/group/${topic}`)
    await publish(topic, numbers(40))
    const got: string[] = []
    await eventually(() => {
      got.push(...take(stayer))
      expect(leaver.packets.length).toBeGreaterThan(0)
    })
    leaver.end()
    await eventually(() => {
      got.push(...take(stayer))
      expect(got).toHaveLength(40)
    })
    expect(got.sort()).toEqual(numbers(40).sort())
    stayer.end()
  })

  it('leaves with a member that unsubscribes, or subscribes again, what it has been sent', async () => {
    const topic = topicOf(channel, randomUUID())
    const filter = `$share/group/${topic}`
    const [first, second] = [await open(a), await open(b)]
    await subscribe(first, filter)
    await publish(topic, ['replaced'])
    const { id } = await first.message()
    await subscribe(first, filter)
    await publish(topic, ['unsubscribed'])
    expect((await first.message()).text).toBe('unsubscribed')
    first.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: [filter] })
    await first.next('unsuback')
    await subscribe(second, filter)
    // The server gives to others what it has not heard of for 15 seconds.
    await sleep(17_000)
    expect(take(second)).toEqual([])
    first.send({ cmd: 'puback', messageId: id })
    first.end()
    // What is not acknowledged at the end of the session goes to others then.
    expect((await second.message()).text).toBe('unsubscribed')
    second.end()
  })

  it('keeps what comes while a member with a session is away', async () => {
    const topic = topicOf(channel, randomUUID())
    const clientId = randomUUID()
    const before = await open(a, 5, clientId, false)
    await subscribe(before, `$share/group/${topic}`)
    before.end()
    await before.closed()
    await publish(topic, numbers(5))
    const after = await open(b, 5, clientId, false)
    const got: string[] = []
    await eventually(() => {
      got.push(...take(after))
      expect(got).toHaveLength(5)
    })
    after.end()
  })

  it('gives nothing to a member that has unsubscribed, and no retained message to one that joins', async () => {
    const topic = topicOf(channel, randomUUID())
    const filter = `$share/group/${topic}`
    const client = await connectClient(a, member, { clientId: randomUUID() })
    await client.publishAsync(topic, 'retained', { qos: 1, retain: true })
    const [leaver, stayer] = [await open(a), await open(b)]
    await subscribe(leaver, filter)
    await subscribe(stayer, filter)
    leaver.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: [filter] })
    expect((await leaver.next('unsuback')).granted).toEqual([0])
    await publish(topic, numbers(20))
    const got: string[] = []
    await eventually(() => {
      got.push(...take(stayer))
      expect(got).toHaveLength(20)
    })
    expect(leaver.packets).toEqual([])
    expect(got).not.toContain('retained')
    await client.endAsync()
    for (const raw of [leaver, stayer]) raw.end()
  })

  it('is received beside subscriptions of one’s own, with QoS 2 exactly once', async () => {
    const topic = topicOf(channel, randomUUID())
    const client = await connectClient(b, member, { clientId: randomUUID(), protocolVersion: 5 })
    const received = collect(client)
    await client.subscribeAsync(`$share/group/${topic}`, { qos: 2 })
    await publish(topic, numbers(10), 2)
    await eventually(() => expect(received).toHaveLength(10))
    await client.subscribeAsync(topic, { qos: 1 })
    await publish(topic, ['both'])
    await eventually(() => expect(received).toHaveLength(12))
    await client.endAsync()
  })

  it('needs a group and a filter, and the permission', async () => {
    const closed = tables.addChannel()
    const raw = await open(a)
    const topics = ['$share//m/a/c/b', '$share/g', '$share/+/m/a/c/b', `$share/g/${topicOf(closed)}`]
    raw.send({
      cmd: 'subscribe',
      messageId: 1,
      subscriptions: topics.map((topic) => ({ topic, qos: 1 })),
    })
    expect((await raw.next('suback')).granted).toEqual([0x8f, 0x8f, 0x8f, 0x87])
    raw.send({ ...PUBLISH, topic: topicOf(channel), messageId: 5 })
    await raw.next('puback')
    raw.end()
  })
})
