import { describe, expect, it } from 'vitest'
import {
  addMember,
  collect,
  connectClient,
  eventually,
  LIMITS,
  PUBLISH,
  RawClient,
  topicOf,
  useGateway,
} from './support.ts'
import type { Client } from '../../support/authority.ts'
import type { TestGateway } from './support.ts'

let gateway: TestGateway
useGateway((started) => {
  gateway = started
})

describe.each([4, 5] as const)('SUBSCRIBE, protocol level %i', (version) => {
  /** The refusal as each version says it. */
  const refused = (reason: number): number => (version === 5 ? reason : 0x80)

  async function subscribe(raw: RawClient, ...topics: string[]): Promise<unknown> {
    raw.send({
      cmd: 'subscribe',
      messageId: 1,
      subscriptions: topics.map((topic) => ({ topic, qos: 1 as const })),
    })
    return (await raw.next('suback')).granted
  }

  it.each([
    ['#', 0x8f],
    ['+', 0x8f],
    ['+/x/c/y', 0x8f],
    ['$SYS/#', 0x8f],
    ['m/+/c/x', 0x8f],
    ['m/d/c/#', 0x8f],
    ['m/d/c/x/a#', 0x8f],
    ['m/d/c/x/#/a', 0x8f],
    ['m/d/c/x/a+', 0x8f],
    ['', 0x8f],
    ['elsewhere', 0x8f],
    [`m/d/c/x${'/a'.repeat(100)}`, 0x8f],
    ['m/d/c/unknown', 0x87],
    ['$share/gr+up/m/d/c/x', 0x8f],
  ])('of %s is refused, and the connection stays', async (filter, reason) => {
    const raw = new RawClient(gateway.port, version)
    await raw.connect(gateway.tables.addClient())
    expect(await subscribe(raw, filter)).toEqual([refused(reason)])
    raw.send({ cmd: 'pingreq' })
    await raw.next('pingresp')
    raw.end()
  })

  it('grants and refuses each filter by itself', async () => {
    const [mine, other] = [gateway.tables.addChannel(), gateway.tables.addChannel()]
    const member = addMember(gateway.tables, mine)
    gateway.tables.allow(member, other, 'publish')
    const raw = new RawClient(gateway.port, version)
    await raw.connect(member)
    const granted = await subscribe(raw, topicOf(other), topicOf(mine, '#'), '#')
    expect(granted).toEqual([refused(0x87), 1, refused(0x8f)])
    raw.end()
  })

  it('grants no more filters than the limit', async () => {
    const channel = gateway.tables.addChannel()
    const raw = new RawClient(gateway.port, version)
    await raw.connect(addMember(gateway.tables, channel))
    const count = LIMITS.maxSubscriptionsPerRequest
    const filters = Array.from({ length: count + 2 }, (_, index) => topicOf(channel, String(index)))
    const expected = [...Array.from({ length: count }, () => 1), refused(0x97), refused(0x97)]
    expect(await subscribe(raw, ...filters)).toEqual(expected)
    raw.end()
  })
})

describe('a session', () => {
  it('keeps what it is subscribed to, and QoS 1 and 2 that came meanwhile, in order, up to the limit', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const options = { clientId: 'sleeper', clean: false } as const
    const before = await connectClient(gateway, member, options)
    await before.subscribeAsync(topicOf(channel, '#'), { qos: 2 })
    await before.endAsync()
    const publisher = await connectClient(gateway, member, { clientId: 'publisher' })
    const count = LIMITS.maxQueuedMessages + 5
    for (let index = 0; index < count; index += 1) {
      await publisher.publishAsync(topicOf(channel, 'a'), String(index), { qos: index % 2 === 0 ? 1 : 2 })
    }
    await publisher.publishAsync(topicOf(channel, 'a'), 'lost', { qos: 0 })
    const raw = new RawClient(gateway.port, 4)
    expect(await raw.connect(member, options)).toMatchObject({ sessionPresent: true })
    const payloads: string[] = []
    for (let index = 0; index < LIMITS.maxQueuedMessages; index += 1) {
      const { payload, messageId, qos } = await raw.next('publish')
      payloads.push(payload.toString())
      if (qos === 1) raw.send({ cmd: 'puback', messageId: messageId ?? 0 })
      else {
        raw.send({ cmd: 'pubrec', messageId: messageId ?? 0 })
        await raw.next('pubrel')
        raw.send({ cmd: 'pubcomp', messageId: messageId ?? 0 })
      }
    }
    expect(payloads).toEqual(Array.from({ length: LIMITS.maxQueuedMessages }, (_, index) => String(index)))
    await eventually(() => expect(gateway.metrics.refused('mqtt', 'queue_full').value).toBe(5))
    raw.end()
    await publisher.endAsync()
  })

  it('of MQTT 5 resumed without asking for an expiry delivers what was queued, and then ends', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const first = new RawClient(gateway.port, 5)
    await first.connect(member, { clientId: 'resumer', properties: { sessionExpiryInterval: 60 } })
    first.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: topicOf(channel), qos: 1 }] })
    await first.next('suback')
    first.end()
    await first.closed()
    const publisher = await connectClient(gateway, member, { clientId: 'publisher' })
    await publisher.publishAsync(topicOf(channel), 'queued', { qos: 1 })
    await publisher.endAsync()
    const second = new RawClient(gateway.port, 5)
    expect(await second.connect(member, { clientId: 'resumer', clean: false })).toMatchObject({
      sessionPresent: true,
    })
    expect((await second.next('publish')).payload.toString()).toBe('queued')
    second.end()
    await second.closed()
    await eventually(async () => {
      const third = new RawClient(gateway.port, 5)
      const connack = await third.connect(member, { clientId: 'resumer', clean: false })
      third.end()
      expect(connack).toMatchObject({ sessionPresent: false })
    })
  })

  it('repeats what was not acknowledged, marked as a duplicate, after a reconnect', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const options = { clientId: 'repeat', clean: false } as const
    const first = new RawClient(gateway.port, 4)
    await first.connect(member, options)
    first.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: topicOf(channel, '#'), qos: 2 }] })
    await first.next('suback')
    const publish = { ...PUBLISH, topic: topicOf(channel, 'a') } as const
    first.send(
      { ...publish, payload: 'one', qos: 1, messageId: 2 },
      { ...publish, payload: 'two', qos: 2, messageId: 3 },
    )
    const one = await first.next('publish')
    const two = await first.next('publish')
    first.send({ cmd: 'pubrec', messageId: two.messageId ?? 0 })
    await first.next('pubrel')
    first.end()
    const second = new RawClient(gateway.port, 4)
    await second.connect(member, options)
    const again = await second.next('publish')
    expect(again).toMatchObject({ messageId: one.messageId, dup: true, qos: 1 })
    expect((await second.next('pubrel')).messageId).toBe(two.messageId)
    second.end()
  })

  it('ends when the client starts clean', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const first = await connectClient(gateway, member, { clientId: 'clean', clean: false })
    await first.subscribeAsync(topicOf(channel), { qos: 1 })
    await first.endAsync()
    const second = await connectClient(gateway, member, { clientId: 'clean', clean: true })
    const received = collect(second)
    await second.publishAsync(topicOf(channel), 'x', { qos: 1 })
    await second.subscribeAsync(topicOf(channel, 'marker'), { qos: 1 })
    await second.publishAsync(topicOf(channel, 'marker'), 'marker', { qos: 1 })
    await eventually(() => expect(received.map(({ payload }) => payload)).toEqual(['marker']))
    await second.endAsync()
  })
})

describe('flow control towards a client', () => {
  it('holds its Receive Maximum', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const raw = new RawClient(gateway.port, 5)
    await raw.connect(member, { properties: { receiveMaximum: 2 } })
    raw.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: topicOf(channel), qos: 1 }] })
    await raw.next('suback')
    const publisher = await connectClient(gateway, member, { clientId: 'publisher' })
    for (let index = 0; index < 5; index += 1) {
      await publisher.publishAsync(topicOf(channel), String(index), { qos: 1 })
    }
    const ids: number[] = []
    const take = async (): Promise<string> => {
      const { payload, messageId } = await raw.next('publish')
      ids.push(messageId ?? 0)
      return payload.toString()
    }
    expect([await take(), await take()]).toEqual(['0', '1'])
    raw.send({ cmd: 'pingreq' })
    await raw.next('pingresp')
    expect(raw.packets).toEqual([])
    for (const expected of ['2', '3', '4']) {
      raw.send({ cmd: 'puback', messageId: ids.shift() ?? 0 })
      expect(await take()).toBe(expected)
    }
    raw.end()
    await publisher.endAsync()
  })

  it('never sends a packet above its Maximum Packet Size, and goes on behind it', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const raw = new RawClient(gateway.port, 5)
    await raw.connect(member, { properties: { maximumPacketSize: 300 } })
    raw.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: topicOf(channel), qos: 1 }] })
    await raw.next('suback')
    const publisher = await connectClient(gateway, member, { clientId: 'publisher' })
    await publisher.publishAsync(topicOf(channel), 'x'.repeat(300), { qos: 1 })
    await publisher.publishAsync(topicOf(channel), 'small', { qos: 1 })
    expect((await raw.next('publish')).payload.toString()).toBe('small')
    raw.end()
    await publisher.endAsync()
  })
})

describe('kept sessions', () => {
  it('of one client are bounded, and push out none of another', async () => {
    const [hoarder, modest] = [gateway.tables.addClient(), gateway.tables.addClient()]
    const visit = async (client: Client, clientId: string): Promise<boolean> => {
      const raw = new RawClient(gateway.port, 4)
      const connack = await raw.connect(client, { clientId, clean: false })
      raw.send({ cmd: 'disconnect' })
      await raw.closed()
      return 'sessionPresent' in connack && connack.sessionPresent
    }
    await visit(modest, 'mine')
    for (let index = 0; index < 120; index += 1) await visit(hoarder, `session${index}`)
    expect(await visit(modest, 'mine')).toBe(true)
    await eventually(() =>
      expect(gateway.metrics.refused('mqtt', 'session_evicted').value).toBeGreaterThan(18),
    )
    expect(await visit(hoarder, 'session119')).toBe(true)
    expect(await visit(hoarder, 'session0')).toBe(false)
  })
})
