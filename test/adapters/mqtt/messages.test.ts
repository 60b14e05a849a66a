import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { nowNs } from '../../../platform/bus/message.ts'
import { messageSubject } from '../../../platform/bus/subject.ts'
import type { Channel } from '../../support/authority.ts'
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
  useGateway,
} from './support.ts'
import type { TestGateway } from './support.ts'

let gateway: TestGateway
let testBus: TestBus
useGateway((started, bus) => {
  gateway = started
  testBus = bus
})

function publishFromElsewhere(channel: Channel, payload: string, protocol: 'http' | 'ws'): Promise<void> {
  return new Promise((resolve, reject) => {
    gateway.publish(
      {
        domainId: channel.domainId,
        channelId: channel.id,
        levels: ['floor1'],
        publisher: randomUUID(),
        protocol,
        contentType: 'text/plain',
        receivedAtNs: nowNs(),
        payload: Buffer.from(payload),
        qos: 0,
        retain: false,
      },
      (error) => (error ? reject(error) : resolve()),
    )
  })
}

async function onStream(channel: Channel): Promise<number> {
  const manager = await testBus.bus.connection.jetstreamManager()
  const filter = `${messageSubject({ domainId: channel.domainId, channelId: channel.id, levels: [] })}.>`
  const { state } = await manager.streams.info('messages', { subjects_filter: filter })
  return Object.values(state.subjects ?? {}).reduce((sum, count) => sum + count, 0)
}

describe.each([3, 4, 5] as const)('a message over MQTT, protocol level %i', (protocolVersion) => {
  const protocolId = protocolVersion === 3 ? 'MQIsdp' : 'MQTT'

  it.each([0, 1, 2] as const)('reaches a subscriber once and untouched, QoS %i', async (qos) => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const client = await connectClient(gateway, member, { protocolVersion, protocolId, clientId: 'device' })
    const received = collect(client)
    await client.subscribeAsync(topicOf(channel, '#'), { qos: 2 })
    const payload = Buffer.from([0, 255, 1, 128, 10])
    await client.publishAsync(topicOf(channel, 'floor1', 'temp'), payload, { qos })
    await eventually(() => expect(received).toHaveLength(1))
    const topic = topicOf(channel, 'floor1', 'temp')
    expect(received).toEqual([{ topic, payload: payload.toString(), qos, retain: false }])
    expect(await onStream(channel)).toBe(1)
    await client.endAsync()
  })

  it('comes in the order of publishing, of all QoS mixed', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const client = await connectClient(gateway, member, { protocolVersion, protocolId, clientId: 'order' })
    const received = collect(client)
    await client.subscribeAsync(topicOf(channel, '+'), { qos: 0 })
    const sent = Array.from({ length: 300 }, (_, index) => String(index))
    await Promise.all(
      sent.map((payload, index) =>
        client.publishAsync(topicOf(channel, `level${index % 3}`), payload, {
          qos: (index % 3) as 0 | 1 | 2,
        }),
      ),
    )
    await eventually(() => expect(received).toHaveLength(sent.length))
    for (const level of [0, 1, 2]) {
      const own = received
        .filter(({ topic }) => topic.endsWith(`level${level}`))
        .map(({ payload }) => payload)
      expect(own).toEqual(sent.filter((_, index) => index % 3 === level))
    }
    await client.endAsync()
  })
})

describe('a subscriber', () => {
  it('gets topics in the form of its filter, each form once', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const client = await connectClient(gateway, member)
    const received = collect(client)
    const prefixes = [
      `m/${channel.domainId}/c/${channel.id}`,
      `/m/${channel.domainId}/c/${channel.id}`,
      `m/${channel.domainRoute}/c/${channel.route}`,
      `/m/${channel.domainRoute}/c/${channel.route}`,
      `channels/${channel.id}/messages`,
    ]
    for (const prefix of prefixes) await client.subscribeAsync(`${prefix}/#`)
    await client.publishAsync(`channels/${channel.id}/messages/a/b`, 'x', { qos: 1 })
    await client.publishAsync(`m/${channel.domainRoute}/c/${channel.route}`, 'y', { qos: 1 })
    await eventually(() => expect(received).toHaveLength(prefixes.length * 2))
    const topics = received.map(({ topic }) => topic).sort()
    expect(topics).toEqual(prefixes.flatMap((prefix) => [prefix, `${prefix}/a/b`]).sort())
    await client.endAsync()
  })

  it('gets what HTTP and WebSocket publish, with QoS 1, and keeps its own lower QoS', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const reliable = await connectClient(gateway, member, { clientId: 'reliable' })
    const fast = await connectClient(gateway, member, { clientId: 'fast' })
    const received = [collect(reliable), collect(fast)]
    await reliable.subscribeAsync(topicOf(channel, '#'), { qos: 2 })
    await fast.subscribeAsync(topicOf(channel, '#'), { qos: 0 })
    await publishFromElsewhere(channel, 'over http', 'http')
    await publishFromElsewhere(channel, 'over ws', 'ws')
    await eventually(() => expect(received.map(({ length }) => length)).toEqual([2, 2]))
    expect(received[0]?.map(({ payload, qos }) => [payload, qos])).toEqual([
      ['over http', 1],
      ['over ws', 1],
    ])
    expect(received[1]?.map(({ qos }) => qos)).toEqual([0, 0])
    await reliable.endAsync()
    await fast.endAsync()
  })

  it('with overlapping filters gets one copy, with the highest QoS and all subscription identifiers', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const raw = new RawClient(gateway.port, 5)
    await raw.connect(member)
    const filters = [
      ['#', 0, 7],
      ['a', 2, 8],
      ['+', 1, 9],
    ] as const
    for (const [level, qos, subscriptionIdentifier] of filters) {
      raw.send({
        cmd: 'subscribe',
        messageId: 1,
        properties: { subscriptionIdentifier },
        subscriptions: [{ topic: topicOf(channel, level), qos }],
      })
      await raw.next('suback')
    }
    raw.send({
      ...PUBLISH,
      topic: topicOf(channel, 'a'),
      qos: 2,
      messageId: 5,
    })
    const delivered = await raw.next('publish')
    expect(delivered.qos).toBe(2)
    expect(new Set(delivered.properties?.subscriptionIdentifier as number[])).toEqual(new Set([7, 8, 9]))
    await publishFromElsewhere(channel, 'other', 'http')
    expect((await raw.next('publish')).payload.toString()).toBe('other')
    raw.end()
  })

  it('that unsubscribes gets no more, and is told whether there was anything to take off', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const raw = new RawClient(gateway.port, 5)
    await raw.connect(member)
    const topic = topicOf(channel, 'a')
    raw.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 0 }] })
    await raw.next('suback')
    raw.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: [topic, topic] })
    expect((await raw.next('unsuback')).granted).toEqual([0x00, 0x11])
    raw.send({ ...PUBLISH, topic, qos: 1, messageId: 3 })
    await raw.next('puback')
    raw.send({ cmd: 'pingreq' })
    await raw.next('pingresp')
    expect(raw.packets).toEqual([])
    raw.end()
  })

  it('finds retained messages whatever form it writes the channel in, until they are cleared', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const publisher = await connectClient(gateway, member, { clientId: 'publisher' })
    const route = `m/${channel.domainRoute}/c/${channel.route}`
    await publisher.publishAsync(`${route}/state`, 'on', { qos: 1, retain: true })
    await publisher.publishAsync(`${route}/gone`, 'on', { qos: 1, retain: true })
    await publisher.publishAsync(`${route}/gone`, '', { qos: 1, retain: true })
    const client = await connectClient(gateway, member, { clientId: 'subscriber' })
    const received = collect(client)
    await client.subscribeAsync(`channels/${channel.id}/messages/+`, { qos: 1 })
    await eventually(() => expect(received).toHaveLength(1))
    expect(received[0]).toEqual({
      topic: `channels/${channel.id}/messages/state`,
      payload: 'on',
      qos: 1,
      retain: true,
    })
    await client.endAsync()
    await publisher.endAsync()
  })

  it('on another node gets the message too', async () => {
    const other = await startMqttGateway(await testBus.connect(), { tables: gateway.tables })
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const here = await connectClient(gateway, member, { clientId: 'here' })
    const there = await connectClient(other, member, { clientId: 'there' })
    const received = collect(there)
    await there.subscribeAsync(topicOf(channel), { qos: 2 })
    await here.publishAsync(topicOf(channel), 'x', { qos: 2 })
    await eventually(() => expect(received).toHaveLength(1))
    await here.endAsync()
    await there.endAsync()
    await other.stop()
  })
})

describe('a QoS 2 publication', () => {
  it('that comes again before PUBREL is on the stream once, also over a new connection', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const packet = {
      ...PUBLISH,
      topic: topicOf(channel, 'a'),
      payload: 'once',
      qos: 2,
      messageId: 9,
    } as const
    const first = new RawClient(gateway.port)
    await first.connect(member, { clean: false })
    first.send(packet, { ...packet, dup: true })
    await first.next('pubrec')
    await first.next('pubrec')
    first.end()
    const second = new RawClient(gateway.port)
    expect(await second.connect(member, { clean: false })).toMatchObject({ sessionPresent: true })
    second.send({ ...packet, dup: true })
    await second.next('pubrec')
    second.send({ cmd: 'pubrel', messageId: 9 })
    await second.next('pubcomp')
    expect(await onStream(channel)).toBe(1)
    // After PUBREL the identifier means a new message.
    second.send(packet)
    await second.next('pubrec')
    expect(await onStream(channel)).toBe(2)
    second.end()
  })

  it('may be released twice in one segment without harm', async () => {
    const channel = gateway.tables.addChannel()
    const raw = new RawClient(gateway.port)
    await raw.connect(addMember(gateway.tables, channel))
    raw.send({
      ...PUBLISH,
      topic: topicOf(channel),
      qos: 2,
      messageId: 1,
    })
    await raw.next('pubrec')
    raw.send(
      { cmd: 'pubrel', messageId: 1 },
      { cmd: 'pubrel', messageId: 1 },
      { cmd: 'pubrel', messageId: 77 },
    )
    await raw.next('pubcomp')
    await raw.next('pubcomp')
    await raw.next('pubcomp')
    raw.end()
  })
})

describe('a publisher', () => {
  it('that says DISCONNECT and is gone at once loses nothing of what it sent', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const raw = new RawClient(gateway.port)
    await raw.connect(member)
    const publish = { ...PUBLISH, qos: 0 } as const
    raw.send(publish1(channel, 'a'), { ...publish, topic: topicOf(channel, 'b') }, { cmd: 'disconnect' })
    raw.socket.end()
    await eventually(async () => expect(await onStream(channel)).toBe(2))
    await raw.closed()
  })

  it('may use topic aliases', async () => {
    const channel = gateway.tables.addChannel()
    const raw = new RawClient(gateway.port, 5)
    await raw.connect(addMember(gateway.tables, channel))
    const packet = { ...PUBLISH, qos: 1 } as const
    raw.send({ ...packet, topic: topicOf(channel, 'long'), messageId: 1, properties: { topicAlias: 3 } })
    raw.send({ ...packet, topic: '', messageId: 2, properties: { topicAlias: 3 } })
    expect((await raw.next('puback')).messageId).toBe(1)
    expect((await raw.next('puback')).messageId).toBe(2)
    expect(await onStream(channel)).toBe(2)
    raw.send({ ...packet, topic: '', messageId: 3, properties: { topicAlias: 30 } })
    expect((await raw.next('disconnect')).reasonCode).toBe(0x94)
    await raw.closed()
  })

  it('may send to the health topic of a domain, and nobody hears it', async () => {
    const client = await connectClient(gateway, gateway.tables.addClient())
    await client.publishAsync(`hc/${gateway.tables.domainId}`, '', { qos: 1 })
    await client.endAsync()
  })
})

function publish1(channel: Channel, level: string) {
  const topic = topicOf(channel, level)
  return { ...PUBLISH, topic, qos: 0 } as const
}
