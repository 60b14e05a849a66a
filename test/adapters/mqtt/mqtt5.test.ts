import type { Packet } from 'mqtt-packet'
import { describe, expect, it } from 'vitest'
import { nowNs } from '../../../platform/bus/message.ts'
import type { Publish } from '../../../adapters/publish.ts'
import type { Channel, Client } from '../../support/authority.ts'
import {
  addMember,
  connectClient,
  eventually,
  LIMITS,
  PUBLISH,
  RawClient,
  topicOf,
  useGateway,
} from './support.ts'
import type { TestGateway } from './support.ts'

/** Answers of the stream, while they are held back. */
const held: (() => void)[] = []
let isHolding = false
const withHolding =
  (publish: Publish): Publish =>
  (message, done) =>
    publish(message, (error) => {
      if (isHolding) held.push(() => done(error))
      else done(error)
    })

let gateway: TestGateway
useGateway(
  (started) => {
    gateway = started
  },
  { publish: withHolding, limits: { receiveMaximum: 3 } },
)

function given(): { channel: Channel; member: Client } {
  const channel = gateway.tables.addChannel()
  return { channel, member: addMember(gateway.tables, channel) }
}

type ConnectOptions = Parameters<RawClient['connect']>[1]
type Subscription = Extract<Packet, { cmd: 'subscribe' }>['subscriptions'][number]

async function connect(member: Client, options: ConnectOptions = {}): Promise<RawClient> {
  const raw = new RawClient(gateway.port, 5)
  await raw.connect(member, options)
  return raw
}

async function subscribe(raw: RawClient, ...subscriptions: Subscription[]): Promise<void> {
  raw.send({ cmd: 'subscribe', messageId: 9, subscriptions })
  await raw.next('suback')
}

/** Nothing more has come than was asked for. */
async function isSilent(raw: RawClient): Promise<void> {
  raw.send({ cmd: 'pingreq' })
  await raw.next('pingresp')
  expect(raw.packets).toEqual([])
}

describe('Receive Maximum of the server', () => {
  const packets = (channel: Channel, qos: 1 | 2, count: number) =>
    Array.from({ length: count }, (_, index) => ({
      ...PUBLISH,
      qos,
      topic: topicOf(channel),
      messageId: index + 1,
    }))

  it('is told in CONNACK, and one more of QoS 2 without PUBREL ends the connection with 0x93', async () => {
    const { channel, member } = given()
    const raw = new RawClient(gateway.port, 5)
    expect(await raw.connect(member)).toMatchObject({ properties: { receiveMaximum: 3 } })
    raw.send(...packets(channel, 2, 3))
    for (let count = 0; count < 3; count += 1) await raw.next('pubrec')
    // The same again is not one more.
    raw.send({ ...PUBLISH, qos: 2, topic: topicOf(channel), messageId: 3, dup: true })
    await raw.next('pubrec')
    raw.send({ ...PUBLISH, qos: 2, topic: topicOf(channel), messageId: 4 })
    expect((await raw.next('disconnect')).reasonCode).toBe(0x93)
    await raw.closed()
  })

  it('counts QoS 1 until PUBACK', async () => {
    const { channel, member } = given()
    const raw = await connect(member)
    isHolding = true
    raw.send(...packets(channel, 1, 4))
    expect((await raw.next('disconnect')).reasonCode).toBe(0x93)
    await raw.closed()
    isHolding = false
    for (const answer of held.splice(0)) answer()
  })

  it('is free again with PUBACK, PUBCOMP, and a PUBREC that refuses', async () => {
    const { channel, member } = given()
    const raw = await connect(member)
    for (let round = 0; round < 3; round += 1) {
      raw.send(...packets(channel, 1, 3))
      for (let count = 0; count < 3; count += 1) await raw.next('puback')
      raw.send(...packets(channel, 2, 3))
      for (let messageId = 1; messageId <= 3; messageId += 1) {
        await raw.next('pubrec')
        raw.send({ cmd: 'pubrel', messageId })
        await raw.next('pubcomp')
      }
      raw.send(...packets(gateway.tables.addChannel(), 2, 3))
      for (let count = 0; count < 3; count += 1) {
        expect((await raw.next('pubrec')).reasonCode).toBe(0x87)
      }
    }
    raw.end()
  })

  it('ends the connection of an older client with a kept session over one more of QoS 2 without PUBREL, its earlier connections counted', async () => {
    const { channel, member } = given()
    const open = async (): Promise<RawClient> => {
      const raw = new RawClient(gateway.port, 4)
      await raw.connect(member, { clean: false })
      return raw
    }
    const first = await open()
    first.send(...packets(channel, 2, 3))
    for (let count = 0; count < 3; count += 1) await first.next('pubrec')
    first.send({ cmd: 'pubrel', messageId: 1 })
    await first.next('pubcomp')
    first.send({ ...PUBLISH, qos: 2, topic: topicOf(channel), messageId: 4 })
    await first.next('pubrec')
    first.end()
    await first.closed()
    const second = await open()
    // The same again is not one more, and QoS 1 never is.
    second.send({ ...PUBLISH, qos: 2, topic: topicOf(channel), messageId: 4, dup: true })
    await second.next('pubrec')
    isHolding = true
    const qos1 = packets(channel, 1, 4).map((each, index) => ({ ...each, messageId: 10 + index }))
    second.send(...qos1)
    await eventually(() => expect(held).toHaveLength(4))
    isHolding = false
    for (const answer of held.splice(0)) answer()
    for (let count = 0; count < 4; count += 1) await second.next('puback')
    second.send({ ...PUBLISH, qos: 2, topic: topicOf(channel), messageId: 5 })
    await second.closed()
  })

  it('is no rule of MQTT 3.1.1 in a session that ends with its connection', async () => {
    const { channel, member } = given()
    const raw = new RawClient(gateway.port, 4)
    await raw.connect(member)
    raw.send(...packets(channel, 2, 10))
    for (let count = 0; count < 10; count += 1) await raw.next('pubrec')
    raw.end()
  })

  it('does not count QoS 0, and holds for each connection anew', async () => {
    const { channel, member } = given()
    const options = { clean: false, properties: { sessionExpiryInterval: 60 } }
    const first = await connect(member, options)
    first.send(...packets(channel, 2, 3))
    for (let count = 0; count < 3; count += 1) await first.next('pubrec')
    first.end()
    await first.closed()
    const second = await connect(member, options)
    const quick = { ...PUBLISH, qos: 0, topic: topicOf(channel) } as const
    second.send(quick, quick, quick, quick, { ...PUBLISH, topic: topicOf(channel), messageId: 9 })
    expect((await second.next('puback')).reasonCode).toBe(0)
    second.end()
  })
})

describe('what went wrong', () => {
  const nowhere = { ...PUBLISH, topic: 'm/d/c/none' } as const
  const subscriptions = [
    { topic: '#', qos: 1 as const },
    { topic: 'm/d/c/none', qos: 1 as const },
  ]

  it('is said in words, too', async () => {
    const raw = await connect(gateway.tables.addClient())
    raw.send(nowhere, { ...nowhere, qos: 2, messageId: 2 })
    const properties = { reasonString: 'failed to perform authorization over the entity' }
    expect(await raw.next('puback')).toMatchObject({ reasonCode: 0x87, properties })
    expect(await raw.next('pubrec')).toMatchObject({ reasonCode: 0x87, properties })
    raw.send({ cmd: 'subscribe', messageId: 3, subscriptions })
    const suback = await raw.next('suback')
    expect(suback.granted).toEqual([0x8f, 0x87])
    expect(suback.properties?.reasonString).toMatch(/^filter 1: /)
    raw.write([0xf0, 0])
    expect(await raw.next('disconnect')).toMatchObject({
      reasonCode: 0x81,
      properties: { reasonString: 'bad packet type or flags' },
    })
    await raw.closed()
  })

  it('is said in CONNACK, the same for every wrong secret', async () => {
    const refusals = []
    for (const client of [gateway.tables.addClient(), gateway.tables.addClient({ isEnabled: false })]) {
      const raw = new RawClient(gateway.port, 5)
      refusals.push(await raw.connect({ ...client, secret: 'wrong' }))
      await raw.closed()
    }
    expect(refusals[0]).toMatchObject({
      reasonCode: 0x86,
      properties: { reasonString: 'missing or invalid credentials' },
    })
    expect(refusals[1]).toEqual(refusals[0])
  })

  it('is not said in words to who does not ask for them, but in DISCONNECT', async () => {
    const raw = await connect(gateway.tables.addClient(), {
      properties: { requestProblemInformation: false },
    })
    raw.send(nowhere, { ...nowhere, qos: 2, messageId: 2 }, { cmd: 'subscribe', messageId: 3, subscriptions })
    expect(await raw.next('puback')).not.toHaveProperty('properties')
    expect(await raw.next('pubrec')).not.toHaveProperty('properties')
    expect(await raw.next('suback')).not.toHaveProperty('properties')
    raw.write([0xf0, 0])
    expect(await raw.next('disconnect')).toHaveProperty('properties.reasonString')
    await raw.closed()
  })

  it('is not said in words that the client has no room for', async () => {
    const raw = await connect(gateway.tables.addClient(), { properties: { maximumPacketSize: 30 } })
    raw.send(nowhere)
    const puback = await raw.next('puback')
    expect(puback.reasonCode).toBe(0x87)
    expect(puback).not.toHaveProperty('properties')
    raw.end()
  })
})

describe('Maximum Packet Size of a client', () => {
  it('that has no room for CONNACK refuses the connection', async () => {
    const raw = new RawClient(gateway.port, 5)
    const properties = { maximumPacketSize: 25 }
    expect(await raw.connect(gateway.tables.addClient(), { properties })).toMatchObject({ reasonCode: 0x95 })
    await raw.closed()
    const nameless = new RawClient(gateway.port, 5)
    const options = { clientId: '', properties: { maximumPacketSize: 69 } }
    expect(await nameless.connect(gateway.tables.addClient(), options)).toMatchObject({ reasonCode: 0x95 })
    await nameless.closed()
  })

  it('holds for the largest CONNACK, and for a SUBACK, which ends the connection', async () => {
    const { channel, member } = given()
    const raw = await connect(member, {
      clientId: '',
      keepalive: 0,
      properties: { maximumPacketSize: 70, sessionExpiryInterval: 0xffffffff },
    })
    expect(raw.bytes.length).toBeLessThanOrEqual(70)
    raw.end()
    const small = await connect(member, { properties: { maximumPacketSize: 26 } })
    const filters = Array.from({ length: LIMITS.maxSubscriptionsPerRequest }, () => topicOf(channel))
    const many = [...filters, ...filters, ...filters]
    small.send({ cmd: 'subscribe', messageId: 1, subscriptions: many.map((topic) => ({ topic, qos: 0 })) })
    expect((await small.next('disconnect')).reasonCode).toBe(0x95)
    await small.closed()
  })

  it('counts the alias of a topic, which is left out where there is no room for it', async () => {
    const { channel, member } = given()
    const topic = topicOf(channel, 'a')
    const bytes = 2 + 2 + topic.length + 1 + 1
    const raw = await connect(member, {
      properties: { maximumPacketSize: bytes, topicAliasMaximum: 5 },
    })
    await subscribe(raw, { topic, qos: 0 })
    const publisher = await connect(member, { clientId: 'publisher' })
    publisher.send({ ...PUBLISH, topic, payload: 'xx', qos: 0 }, { ...PUBLISH, topic, payload: 'y', qos: 0 })
    const delivered = await raw.next('publish')
    expect(delivered).toMatchObject({ topic, length: bytes - 2 })
    expect(delivered.payload.toString()).toBe('y')
    expect(delivered).not.toHaveProperty('properties')
    for (const each of [raw, publisher]) each.end()
  })
})

describe('CONNACK', () => {
  it('promises what holds, and no more', async () => {
    const raw = new RawClient(gateway.port, 5)
    const connack = await raw.connect(gateway.tables.addClient(), {
      keepalive: 30,
      properties: { sessionExpiryInterval: 60, requestResponseInformation: true },
    })
    expect(connack).toMatchObject({ reasonCode: 0, sessionPresent: false })
    const properties = 'properties' in connack ? connack.properties : undefined
    // Absent: QoS 2, retained messages, wildcards and subscription identifiers are available; the client's own keep alive,
    // session expiry and identifier hold; there is no Response Information [MQTT-3.1.2-28].
    expect(Object.keys(properties ?? {}).sort()).toEqual([
      'maximumPacketSize',
      'receiveMaximum',
      'sharedSubscriptionAvailable',
      'topicAliasMaximum',
    ])
    raw.end()
  })

  it('says how long a session is kept when that is shorter than asked for', async () => {
    const raw = new RawClient(gateway.port, 5)
    const properties = { sessionExpiryInterval: LIMITS.sessionExpiryS + 1 }
    expect(await raw.connect(gateway.tables.addClient(), { properties })).toMatchObject({
      properties: { sessionExpiryInterval: LIMITS.sessionExpiryS },
    })
    raw.end()
  })
})

describe('No Local', () => {
  it('keeps away what the session itself publishes, and nothing else of the same client', async () => {
    const { channel, member } = given()
    const topic = topicOf(channel)
    const own = await connect(member, { clientId: 'own' })
    const other = await connect(member, { clientId: 'other' })
    await subscribe(own, { topic, qos: 0, nl: true })
    await subscribe(other, { topic, qos: 0 })
    own.send({ ...PUBLISH, topic, payload: 'own' })
    await own.next('puback')
    expect((await other.next('publish')).payload.toString()).toBe('own')
    other.send({ ...PUBLISH, topic, payload: 'other' })
    expect((await own.next('publish')).payload.toString()).toBe('other')
    await new Promise<void>((resolve, reject) => {
      const { domainId, id: channelId } = channel
      const facts = { protocol: 'http', contentType: '', qos: 0, retain: false } as const
      const address = { domainId, channelId, levels: [] }
      const message = {
        ...facts,
        ...address,
        publisher: member.id,
        receivedAtNs: nowNs(),
        payload: Buffer.from('http'),
      }
      gateway.publish(message, (error) => (error ? reject(error) : resolve()))
    })
    expect((await own.next('publish')).payload.toString()).toBe('http')
    await isSilent(own)
    for (const raw of [own, other]) raw.end()
  })

  it('holds over another connection of the same session, and for one filter by itself', async () => {
    const { channel, member } = given()
    const topic = topicOf(channel)
    const options = { clientId: 'kept', clean: false, properties: { sessionExpiryInterval: 60 } }
    const first = await connect(member, options)
    await subscribe(first, { topic, qos: 0, nl: true })
    first.end()
    await first.closed()
    const second = await connect(member, options)
    second.send({ ...PUBLISH, topic, payload: 'own' })
    await second.next('puback')
    await isSilent(second)
    await subscribe(second, { topic: topicOf(channel, '#'), qos: 0 })
    second.send({ ...PUBLISH, topic, payload: 'again' })
    expect((await second.next('publish')).payload.toString()).toBe('again')
    second.end()
  })
})

describe('a subscription', () => {
  it('gets the retain flag as published only when it asks for it', async () => {
    const { channel, member } = given()
    const topic = topicOf(channel)
    for (const rap of [false, true]) {
      const raw = await connect(member)
      await subscribe(raw, { topic, qos: 0, rap, rh: 2 })
      raw.send({ ...PUBLISH, topic, retain: true }, { ...PUBLISH, topic, messageId: 2 })
      expect((await raw.next('publish')).retain).toBe(rap)
      expect((await raw.next('publish')).retain).toBe(false)
      raw.end()
      await raw.closed()
    }
  })

  it.each([
    [0, 2],
    [1, 1],
    [2, 0],
  ] as const)('with Retain Handling %i gets retained messages %i times of two', async (rh, times) => {
    const { channel, member } = given()
    const topic = topicOf(channel)
    const raw = await connect(member)
    raw.send({ ...PUBLISH, topic, retain: true })
    await raw.next('puback')
    await subscribe(raw, { topic, qos: 0, rh })
    await subscribe(raw, { topic, qos: 0, rh })
    for (let count = 0; count < times; count += 1) expect((await raw.next('publish')).retain).toBe(true)
    await isSilent(raw)
    raw.end()
  })
})

describe('a delayed will', () => {
  const willOf = (channel: Channel, seconds: number) => ({
    topic: topicOf(channel),
    payload: 'gone',
    qos: 1 as const,
    properties: { willDelayInterval: seconds },
  })

  it('is not sent when the client comes back in time', async () => {
    const { channel, member } = given()
    const listener = await connectClient(gateway, member, { clientId: 'listener' })
    const received: string[] = []
    listener.on('message', (_topic, payload) => received.push(payload.toString()))
    await listener.subscribeAsync(topicOf(channel), { qos: 1 })
    const options = { clientId: 'back', properties: { sessionExpiryInterval: 60 } }
    const first = await connect(member, { ...options, will: willOf(channel, 2) })
    first.end()
    await first.closed()
    const second = await connect(member, { ...options, clean: false })
    // One that falls due later than the first would have.
    const marker = await connect(member, {
      clientId: 'marker',
      properties: { sessionExpiryInterval: 60 },
      will: { ...willOf(channel, 3), payload: 'marker' },
    })
    marker.end()
    await eventually(() => expect(received).toEqual(['marker']))
    second.send({ cmd: 'disconnect' })
    await second.closed()
    await listener.endAsync()
  })

  it('is sent at the end of the session when that comes first', async () => {
    const { channel, member } = given()
    const listener = await connect(member, { clientId: 'listener' })
    await subscribe(listener, { topic: topicOf(channel), qos: 1 })
    const rude = await connect(member, {
      clientId: 'rude',
      properties: { sessionExpiryInterval: 1 },
      will: willOf(channel, 3_600),
    })
    rude.end()
    expect((await listener.next('publish')).payload.toString()).toBe('gone')
    listener.end()
  })
})
