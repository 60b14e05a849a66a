import { headers } from 'nats'
import { describe, expect, it } from 'vitest'
import { nowNs } from '../../../platform/bus/message.ts'
import type { Message } from '../../../platform/bus/message.ts'
import { MAX_PROPERTY_BYTES } from '../../../platform/bus/properties.ts'
import type { MessageProperties } from '../../../platform/bus/properties.ts'
import { messageSubject } from '../../../platform/bus/subject.ts'
import type { Channel, Client } from '../../support/authority.ts'
import type { TestBus } from '../../support/bus.ts'
import {
  addMember,
  connectClient,
  encode,
  eventually,
  LIMITS,
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

function given(): { channel: Channel; member: Client } {
  const channel = gateway.tables.addChannel()
  return { channel, member: addMember(gateway.tables, channel) }
}

const text = (value: string): Buffer => {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes])
}
const pair = (name: string, value: string): Buffer =>
  Buffer.concat([Buffer.from([0x26]), text(name), text(value)])

/** A PUBLISH of QoS 1 with its properties written out, since mqtt-packet cannot write all of them in any order. */
function publishPacket(topic: string, properties: Buffer, payload = 'x'): Buffer {
  const plain = encode(5, { ...PUBLISH, topic, payload })
  const propertiesAt = 2 + 2 + Buffer.byteLength(topic) + 2
  const length = properties.length
  const block = length < 128 ? [length] : [(length & 0x7f) | 0x80, length >> 7]
  const body = Buffer.concat([
    plain.subarray(2, propertiesAt),
    Buffer.from(block),
    properties,
    Buffer.from(payload),
  ])
  const rest = body.length
  const head =
    rest < 128
      ? [rest]
      : [(rest & 0x7f) | 0x80, ...(rest < 16_384 ? [rest >> 7] : [((rest >> 7) & 0x7f) | 0x80, rest >> 14])]
  return Buffer.concat([Buffer.from([0x32, ...head]), body])
}

async function subscriber(
  member: Client,
  filter: string,
  options: Parameters<RawClient['connect']>[1] = {},
  { port }: { port: number } = gateway,
): Promise<RawClient> {
  const raw = new RawClient(port, 5)
  await raw.connect(member, { clientId: 'subscriber', ...options })
  raw.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: filter, qos: 1 }] })
  await raw.next('suback')
  return raw
}

/** A publication that came to some node a while ago. */
function publishEarlier(
  channel: Channel,
  payload: string,
  {
    waitedMs = 0,
    retain = false,
    ...properties
  }: MessageProperties & { waitedMs?: number; retain?: boolean },
): Promise<Message> {
  const message: Message = {
    domainId: channel.domainId,
    channelId: channel.id,
    levels: ['a'],
    publisher: '',
    protocol: 'mqtt',
    contentType: '',
    receivedAtNs: nowNs() - BigInt(waitedMs) * 1_000_000n,
    payload: Buffer.from(payload),
    qos: 1,
    retain,
    properties,
  }
  return new Promise((resolve, reject) => {
    gateway.publish(message, (error) => (error ? reject(error) : resolve(message)))
  })
}

/** Every property that a message has, user properties last. */
const BLOCK = Buffer.concat([
  Buffer.from([0x01, 0]),
  Buffer.from([0x08]),
  text('m/somewhere/c/else/ä b'),
  Buffer.from([0x09, 0, 5, 0, 13, 10, 0xff, 0x80]),
  pair('z', '1'),
  pair('a\r\nSluice-Publisher: x', ''),
  pair('z', '2'),
  pair('10', 'ü€'),
  pair('__proto__', '%0a=&'),
])

describe('the properties of a message', () => {
  it('arrive unaltered and in order, also on another node', async () => {
    const { channel, member } = given()
    const other = await startMqttGateway(await testBus.connect(), { tables: gateway.tables })
    const here = await subscriber(member, topicOf(channel, '#'))
    const there = await subscriber(member, topicOf(channel, '#'), { clientId: 'there' }, other)
    here.write(publishPacket(topicOf(channel, 'a'), BLOCK))
    for (const raw of [here, there]) {
      await raw.next('publish')
      expect(raw.bytes.includes(BLOCK)).toBe(true)
      raw.end()
    }
    await other.stop()
  })

  it('stay with a message that waits for its subscriber', async () => {
    const { channel, member } = given()
    const options = { clean: false, properties: { sessionExpiryInterval: 60 } }
    const before = await subscriber(member, topicOf(channel, 'a'), options)
    before.end()
    await before.closed()
    const publisher = await subscriber(member, topicOf(channel, 'marker'), { clientId: 'publisher' })
    publisher.write(publishPacket(topicOf(channel, 'a'), BLOCK))
    await publisher.next('puback')
    publisher.end()
    const after = new RawClient(gateway.port, 5)
    await after.connect(member, { clientId: 'subscriber', ...options })
    await after.next('publish')
    expect(after.bytes.includes(BLOCK)).toBe(true)
    after.end()
  })

  it('stay with a retained message', async () => {
    const { channel, member } = given()
    const packet = publishPacket(topicOf(channel, 'a'), BLOCK)
    packet[0] = 0x33
    const publisher = await subscriber(member, topicOf(channel, 'marker'), { clientId: 'publisher' })
    publisher.write(packet)
    await publisher.next('puback')
    const raw = await subscriber(member, topicOf(channel, 'a'))
    await raw.next('publish')
    expect(raw.bytes.includes(BLOCK)).toBe(true)
    for (const each of [publisher, raw]) each.end()
  })

  it('are not for clients of MQTT 3.1.1, which get the message alone', async () => {
    const { channel, member } = given()
    const raw = new RawClient(gateway.port, 4)
    await raw.connect(member)
    raw.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: topicOf(channel, 'a'), qos: 1 }] })
    await raw.next('suback')
    await publishEarlier(channel, 'plain', { userProperties: [['a', 'b']], expiryS: 60 })
    expect((await raw.next('publish')).payload.toString()).toBe('plain')
    raw.end()
  })

  it.each([
    ['application/senml+json; charset=utf-8', '[{"n":"a","v":1}]'],
    ['Application/SenML+JSON', '[{"n":"a","v":1}]'],
    ['text/größe', 'x'],
    ['', 'x'],
  ])('hold the content type %j as it was sent', async (contentType, payload) => {
    const { channel, member } = given()
    const raw = await subscriber(member, topicOf(channel, 'a'))
    const block = Buffer.concat([Buffer.from([0x03]), text(contentType)])
    raw.write(publishPacket(topicOf(channel, 'a'), block, payload))
    expect((await raw.next('publish')).properties).toEqual({ contentType })
    raw.end()
  })

  it('of one message never come with another, whatever lies between', async () => {
    const { channel, member } = given()
    const raw = await subscriber(member, topicOf(channel, '#'))
    const topic = topicOf(channel, 'a')
    const packets: Buffer[] = []
    for (let index = 0; index < 20; index += 1) {
      packets.push(
        publishPacket(topic, index % 3 === 0 ? Buffer.alloc(0) : pair('n', `${index}`), `${index}`),
        // Refused, with properties of its own.
        publishPacket('m/d/c/none', pair('n', 'refused'), 'refused'),
        encode(5, { ...PUBLISH, topic, payload: 'plain', qos: 0, properties: { topicAlias: 1 } }),
      )
    }
    raw.write(Buffer.concat(packets))
    // QoS 0 may overtake, so each is known by its payload.
    const found = new Map<string, unknown>()
    for (let count = 0; count < 40; count += 1) {
      const { payload, properties, messageId } = await raw.next('publish')
      if (messageId !== undefined) raw.send({ cmd: 'puback', messageId })
      found.set(payload.toString(), properties?.userProperties?.['n'])
    }
    expect(found.get('plain')).toBeUndefined()
    for (let index = 0; index < 20; index += 1) {
      expect(found.get(`${index}`)).toBe(index % 3 === 0 ? undefined : `${index}`)
    }
    expect(found.size).toBe(21)
    raw.end()
  })

  it('may be written and read by any NATS client, and are left out where they are none', async () => {
    const { channel, member } = given()
    const raw = await subscriber(member, topicOf(channel, '#'))
    const fields = headers()
    fields.append('Sluice-Response-Topic', 'm/d/c/c/answers')
    fields.append('Sluice-Correlation-Data', 'AAE=')
    fields.append('Sluice-User-Property', 'a=1')
    fields.append('Sluice-User-Property', 'b=%00')
    fields.append('Sluice-Payload-Format', '7')
    const subject = messageSubject({ domainId: channel.domainId, channelId: channel.id, levels: ['a'] })
    testBus.bus.connection.publish(subject, Buffer.from('from NATS'), { headers: fields })
    expect((await raw.next('publish')).properties).toEqual({
      responseTopic: 'm/d/c/c/answers',
      correlationData: Buffer.from([0, 1]),
      userProperties: { a: '1' },
    })
    raw.end()
  })
})

describe('properties that a message may not have', () => {
  it('because there are too many are refused with 0x97, and the connection stays', async () => {
    const { channel, member } = given()
    const raw = await subscriber(member, topicOf(channel, 'a'))
    const tooMany = Buffer.concat(Array.from({ length: 200 }, () => pair('a', 'b')))
    const tooLarge = pair('a', 'b'.repeat(MAX_PROPERTY_BYTES))
    for (const block of [tooMany, tooLarge]) {
      raw.write(publishPacket(topicOf(channel, 'a'), block))
      expect((await raw.next('puback')).reasonCode).toBe(0x97)
    }
    raw.write(publishPacket(topicOf(channel, 'a'), pair('a', 'b'.repeat(MAX_PROPERTY_BYTES - 1))))
    expect((await raw.next('puback')).reasonCode).toBe(0)
    raw.end()
  })

  it('because the payload is not the text it says it is are refused with 0x99', async () => {
    const { channel, member } = given()
    const raw = await subscriber(member, topicOf(channel, 'a'))
    const packet = publishPacket(topicOf(channel, 'a'), Buffer.from([0x01, 1]), 'text')
    raw.write(packet)
    expect((await raw.next('puback')).reasonCode).toBe(0)
    expect((await raw.next('publish')).properties).toEqual({ payloadFormatIndicator: true })
    packet[packet.length - 1] = 0xff
    raw.write(packet)
    expect((await raw.next('puback')).reasonCode).toBe(0x99)
    raw.end()
  })

  it.each([
    ['a response topic with a wildcard', Buffer.concat([Buffer.from([0x08]), text('m/d/c/x/#')]), 0x82],
    ['an empty response topic', Buffer.from([0x08, 0, 0]), 0x82],
    ['a surrogate in a user property', Buffer.from([0x26, 0, 1, 0x61, 0, 3, 0xed, 0xa0, 0x80]), 0x81],
    ['U+0000 in a user property', Buffer.from([0x26, 0, 1, 0, 0, 0]), 0x81],
  ])('(%s) end the connection', async (_what, block, reason) => {
    const { channel, member } = given()
    const raw = await subscriber(member, topicOf(channel, 'a'))
    raw.write(publishPacket(topicOf(channel, 'a'), block))
    expect((await raw.next('disconnect')).reasonCode).toBe(reason)
    await raw.closed()
  })

  it.each([
    ['too many', { userProperties: { a: 'b'.repeat(MAX_PROPERTY_BYTES) } }, 'x', 0x97],
    ['not what they say of the payload', { payloadFormatIndicator: true }, Buffer.from([0xff]), 0x99],
  ])('of a will are refused at CONNECT: %s', async (_what, properties, payload, reason) => {
    const { channel, member } = given()
    const raw = new RawClient(gateway.port, 5)
    const will = { topic: topicOf(channel), payload, properties }
    const connack = await raw.connect(member, { will })
    expect(connack).toMatchObject({ reasonCode: reason })
    await raw.closed()
  })
})

describe('a will', () => {
  it('carries its properties, and neither its delay nor another one', async () => {
    const { channel, member } = given()
    const raw = await subscriber(member, topicOf(channel, '#'))
    const rude = new RawClient(gateway.port, 5)
    const properties = {
      contentType: 'text/plain; format=flowed',
      responseTopic: 'answer/here',
      correlationData: Buffer.from([1, 2]),
      payloadFormatIndicator: true,
      userProperties: { b: '1', a: ['2', '3'] },
    }
    await rude.connect(member, {
      clientId: 'rude',
      properties: { sessionExpiryInterval: 60 },
      will: {
        topic: topicOf(channel, 'gone'),
        payload: Buffer.from('gone'),
        qos: 1,
        properties: { ...properties, willDelayInterval: 1, messageExpiryInterval: 100 },
      } as never,
    })
    rude.end()
    const delivered = await raw.next('publish')
    expect(delivered.payload.toString()).toBe('gone')
    expect(delivered.properties).toEqual({ ...properties, messageExpiryInterval: 100 })
    raw.end()
  })
})

describe('a message with an expiry interval', () => {
  it('arrives with what is left of it', async () => {
    const { channel, member } = given()
    const raw = await subscriber(member, topicOf(channel, 'a'))
    await publishEarlier(channel, 'fresh', { expiryS: 1_000 })
    await publishEarlier(channel, 'older', { expiryS: 1_000, waitedMs: 300_500 })
    const fresh = (await raw.next('publish')).properties?.messageExpiryInterval ?? 0
    const older = (await raw.next('publish')).properties?.messageExpiryInterval ?? 0
    expect(fresh).toBeGreaterThan(700)
    expect(fresh).toBeLessThanOrEqual(1_000)
    expect(older).toBeLessThanOrEqual(700)
    raw.end()
  })

  it('that has passed reaches nobody, of no version', async () => {
    const { channel, member } = given()
    const raws = [new RawClient(gateway.port, 4), new RawClient(gateway.port, 5)]
    for (const raw of raws) {
      await raw.connect(member, { clientId: `v${raws.indexOf(raw)}` })
      raw.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: topicOf(channel, 'a'), qos: 1 }] })
      await raw.next('suback')
    }
    await publishEarlier(channel, 'late', { expiryS: 10, waitedMs: 10_000 })
    await publishEarlier(channel, 'in time', { expiryS: 1_000, waitedMs: 10_000 })
    for (const raw of raws) {
      expect((await raw.next('publish')).payload.toString()).toBe('in time')
      raw.end()
    }
  })

  it('is deleted when the interval passes while it waits for its subscriber', async () => {
    const { channel, member } = given()
    const options = { clean: false, properties: { sessionExpiryInterval: 60 } }
    const before = await subscriber(member, topicOf(channel, 'a'), options)
    before.end()
    await before.closed()
    const expired = gateway.metrics.refused('mqtt', 'message_expired').value
    await publishEarlier(channel, 'short', { expiryS: 1 })
    const { receivedAtNs } = await publishEarlier(channel, 'long', { expiryS: 1_000 })
    await eventually(() => expect(nowNs()).toBeGreaterThan(receivedAtNs + 1_000_000_000n))
    const after = new RawClient(gateway.port, 5)
    await after.connect(member, { clientId: 'subscriber', ...options })
    const delivered = await after.next('publish')
    expect(delivered.payload.toString()).toBe('long')
    expect(delivered.properties?.messageExpiryInterval).toBeLessThan(1_000)
    expect(gateway.metrics.refused('mqtt', 'message_expired').value).toBe(expired + 1)
    after.end()
  })

  it('that has passed takes no room among those that wait', async () => {
    const { channel, member } = given()
    const options = { clean: false, properties: { sessionExpiryInterval: 60 } }
    const before = await subscriber(member, topicOf(channel, 'a'), options)
    before.end()
    await before.closed()
    for (let count = 0; count < LIMITS.maxQueuedMessages; count += 1) {
      await publishEarlier(channel, 'late', { expiryS: 10, waitedMs: 10_000 })
    }
    await publishEarlier(channel, 'in time', { expiryS: 1_000 })
    const after = new RawClient(gateway.port, 5)
    await after.connect(member, { clientId: 'subscriber', ...options })
    expect((await after.next('publish')).payload.toString()).toBe('in time')
    after.end()
  })

  it('is no retained message any more when the interval has passed, and a shorter one until then', async () => {
    const { channel, member } = given()
    const publisher = await connectClient(gateway, member, { clientId: 'publisher', protocolVersion: 5 })
    const properties = { messageExpiryInterval: 1 }
    await publisher.publishAsync(topicOf(channel, 'a'), 'short', { qos: 1, retain: true, properties })
    const publishedAt = Date.now()
    properties.messageExpiryInterval = 1_000
    await publisher.publishAsync(topicOf(channel, 'b'), 'long', { qos: 1, retain: true, properties })
    await eventually(() => expect(Date.now()).toBeGreaterThan(publishedAt + 1_000))
    const raw = await subscriber(member, topicOf(channel, '#'))
    const delivered = await raw.next('publish')
    expect(delivered.payload.toString()).toBe('long')
    expect(delivered.properties?.messageExpiryInterval).toBeLessThan(1_000)
    raw.send({ cmd: 'pingreq' })
    await raw.next('pingresp')
    expect(raw.packets).toEqual([])
    raw.end()
    await publisher.endAsync()
  })
})

describe('topic aliases towards a client', () => {
  /** Topic and alias of the next message. */
  async function nextTopic(raw: RawClient): Promise<[string, number | undefined]> {
    const { topic, properties, messageId = 0 } = await raw.next('publish')
    raw.send({ cmd: 'puback', messageId })
    return [topic.split('/').at(-1) ?? '', properties?.topicAlias]
  }

  it('stand for topics that come again, as many as it takes, on one connection', async () => {
    const { channel, member } = given()
    const options = { properties: { topicAliasMaximum: 2, sessionExpiryInterval: 60 } }
    const publisher = await connectClient(gateway, member, { clientId: 'publisher' })
    const publish = async (...levels: string[]): Promise<void> => {
      for (const level of levels) await publisher.publishAsync(topicOf(channel, level), 'x', { qos: 1 })
    }
    const first = await subscriber(member, topicOf(channel, '#'), options)
    await publish('a', 'b', 'a', 'c', 'b', 'c', 'a')
    const expected: [string, number | undefined][] = [
      ['a', 1],
      ['b', 2],
      ['', 1],
      ['c', undefined],
      ['', 2],
      ['c', undefined],
      ['', 1],
    ]
    for (const each of expected) expect(await nextTopic(first)).toEqual(each)
    first.end()
    await first.closed()
    await publish('b')
    const second = new RawClient(gateway.port, 5)
    await second.connect(member, { clientId: 'subscriber', clean: false, ...options })
    expect(await nextTopic(second)).toEqual(['b', 1])
    second.end()
    await publisher.endAsync()
  })

  it('are not sent to one that takes none', async () => {
    const { channel, member } = given()
    const raw = await subscriber(member, topicOf(channel, '#'))
    for (let times = 0; times < 2; times += 1) {
      await publishEarlier(channel, 'x', {})
      expect(await nextTopic(raw)).toEqual(['a', undefined])
    }
    raw.end()
  })

  it('leave MQTT.js with the whole topic', async () => {
    const { channel, member } = given()
    const client = await connectClient(gateway, member, {
      protocolVersion: 5,
      properties: { topicAliasMaximum: 10 },
    })
    const topics: string[] = []
    client.on('message', (topic) => topics.push(topic))
    await client.subscribeAsync(topicOf(channel, '#'), { qos: 1 })
    for (let times = 0; times < 3; times += 1) await publishEarlier(channel, 'x', {})
    await eventually(() => expect(topics).toEqual(Array(3).fill(topicOf(channel, 'a'))))
    await client.endAsync()
  })
})
