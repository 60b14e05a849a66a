import { randomUUID } from 'node:crypto'
import type { Packet } from 'mqtt-packet'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { MessageRateLimits } from '../../../adapters/rates.ts'
import type { Message } from '../../../platform/bus/message.ts'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'
import { addMember, connectPacket, eventually, PUBLISH, RawClient } from './support.ts'
import { startMqttGateway, topicOf } from './support.ts'
import type { GatewayOptions, TestGateway } from './support.ts'

/** One, and the next when all is over. */
const ONE = 0.001

let testBus: TestBus
beforeAll(async () => {
  testBus = await startTestBus()
})
afterAll(() => testBus.stop())

async function start(options: GatewayOptions): Promise<TestGateway & { readonly stored: Message[] }> {
  const stored: Message[] = []
  const gateway = await startMqttGateway(testBus.bus, {
    ...options,
    publish: (real) => (message, done) =>
      real(message, (error) => {
        if (!error) stored.push(message)
        done(error)
      }),
  })
  onTestFinished(() => gateway.stop())
  return { ...gateway, stored }
}

const startLimited = (rates: MessageRateLimits) => start({ rates })

async function signIn(gateway: TestGateway, version: 4 | 5, domainId = gateway.tables.domainId) {
  const channel = gateway.tables.addChannel({ domainId, route: randomUUID() })
  const client = gateway.tables.addClient({ domainId })
  gateway.tables.allow(client, channel, 'publish', 'subscribe')
  const raw = new RawClient(gateway.port, version)
  onTestFinished(() => raw.end())
  await raw.connect(client)
  const publish = (...packets: Partial<Extract<Packet, { cmd: 'publish' }>>[]) =>
    raw.send(
      ...packets.map((packet, index) => ({
        ...PUBLISH,
        topic: topicOf(channel),
        messageId: index + 1,
        ...packet,
      })),
    )
  return { raw, publish }
}

const textOf = ({ payload }: Message) => Buffer.from(payload).toString()
const refused = (gateway: TestGateway, reason: string) => gateway.metrics.refused('mqtt', reason).value

describe('a client over its rate of messages', () => {
  it('of MQTT 5 gets 0x97 for QoS 1 and 2, and goes on', async () => {
    const gateway = await startLimited({ perClient: ONE })
    const { raw, publish } = await signIn(gateway, 5)
    publish({}, {}, { qos: 2 })
    expect(await raw.next('puback')).toMatchObject({ messageId: 1, reasonCode: 0 })
    expect(await raw.next('puback')).toMatchObject({ messageId: 2, reasonCode: 0x97 })
    expect(await raw.next('pubrec')).toMatchObject({ messageId: 3, reasonCode: 0x97 })
    raw.send({ cmd: 'pingreq' })
    await raw.next('pingresp')
    expect(gateway.stored).toHaveLength(1)
    expect(refused(gateway, 'client_message_rate')).toBe(2)
    expect(gateway.lines.join('')).toContain('"reason":"client_message_rate"')
  })

  it.each([4, 5] as const)(
    'loses QoS 0 messages, which are counted, and goes on (version %i)',
    async (version) => {
      const gateway = await startLimited({ perClient: ONE })
      const { raw, publish } = await signIn(gateway, version)
      publish({}, { qos: 0 }, { qos: 0 })
      raw.send({ cmd: 'pingreq' })
      await raw.next('pingresp')
      await raw.next('puback')
      expect(gateway.stored).toHaveLength(1)
      expect(refused(gateway, 'client_message_rate')).toBe(2)
    },
  )

  it('of MQTT 3.1.1 is slowed down, and loses nothing', async () => {
    const gateway = await startLimited({ perClient: 10 })
    const { raw, publish } = await signIn(gateway, 4)
    const payloads = Array.from({ length: 14 }, (_, index) => String(index))
    publish(
      ...payloads.map((payload, index) => ({ payload, qos: index % 3 === 0 ? (2 as const) : (1 as const) })),
    )
    for (let index = 0; index < payloads.length; index += 1) {
      await raw.next(index % 3 === 0 ? 'pubrec' : 'puback')
    }
    expect(gateway.stored.map(textOf)).toEqual(payloads)
    expect(raw.isClosed).toBe(false)
  })

  it('of MQTT 3.1.1 that goes away while it waits has got no acknowledgement, and nobody waits for it', async () => {
    const gateway = await startLimited({ perClient: ONE })
    const { raw, publish } = await signIn(gateway, 4)
    publish({ payload: 'one' }, { payload: 'two' })
    await raw.next('puback')
    await eventually(() => expect(refused(gateway, 'client_message_rate')).toBeGreaterThan(0))
    raw.end()
    await gateway.stop()
    expect(gateway.stored.map(textOf)).toEqual(['one'])
    expect(raw.packets).toEqual([])
  })

  it('does not slow others down', async () => {
    const gateway = await startLimited({ perClient: ONE })
    for (let client = 0; client < 3; client += 1) {
      const { raw, publish } = await signIn(gateway, 5)
      publish({})
      expect(await raw.next('puback')).toMatchObject({ reasonCode: 0 })
    }
  })

  it('still has its will published', async () => {
    const gateway = await startLimited({ perClient: ONE })
    const channel = gateway.tables.addChannel()
    const client = addMember(gateway.tables, channel)
    const raw = new RawClient(gateway.port, 5)
    const will = { topic: topicOf(channel), payload: Buffer.from('gone'), qos: 1, retain: false } as const
    raw.send(connectPacket(5, client, { will }))
    await raw.next('connack')
    raw.send({ ...PUBLISH, topic: topicOf(channel) })
    await raw.next('puback')
    raw.end()
    await eventually(() => expect(gateway.stored.map(textOf)).toEqual(['x', 'gone']))
  })
})

describe('a domain over its rate of messages', () => {
  it('is refused whichever client it is, and other domains are not', async () => {
    const gateway = await startLimited({ perDomain: ONE })
    for (const reasonCode of [0, 0x97]) {
      const { raw, publish } = await signIn(gateway, 5)
      publish({})
      expect(await raw.next('puback')).toMatchObject({ reasonCode })
    }
    expect(refused(gateway, 'domain_message_rate')).toBe(1)
    const { raw, publish } = await signIn(gateway, 5, randomUUID())
    publish({})
    expect(await raw.next('puback')).toMatchObject({ reasonCode: 0 })
  })
})

describe('a listener over its rate', () => {
  it('of messages refuses all its clients', async () => {
    const gateway = await startLimited({ perListener: ONE })
    for (const reasonCode of [0, 0x97]) {
      const { raw, publish } = await signIn(gateway, 5, randomUUID())
      publish({})
      expect(await raw.next('puback')).toMatchObject({ reasonCode })
    }
    expect(refused(gateway, 'listener_message_rate')).toBe(1)
  })

  it('of new connections answers CONNECT with 0x9F or 3, whoever it is, and keeps those it has', async () => {
    const gateway = await start({ limits: { maxConnectsPerS: ONE } })
    const { raw, publish } = await signIn(gateway, 5)
    const five = new RawClient(gateway.port, 5)
    expect(await five.connect(gateway.tables.addClient())).toMatchObject({ reasonCode: 0x9f })
    await five.closed()
    const four = new RawClient(gateway.port, 4)
    expect(await four.connect(gateway.tables.addClient())).toMatchObject({ returnCode: 3 })
    await four.closed()
    publish({})
    await raw.next('puback')
    expect(refused(gateway, 'connect_rate')).toBe(2)
  })
})

describe('a client over its number of connections', () => {
  it('is refused with 0x97 or 3, and let in again when one is gone or under a name that is in use', async () => {
    const gateway = await start({ quota: { perClient: 2 } })
    const client = gateway.tables.addClient()
    async function connect(version: 4 | 5, clientId: string) {
      const raw = new RawClient(gateway.port, version)
      onTestFinished(() => raw.end())
      const { reasonCode, returnCode } = (await raw.connect(client, { clientId })) as {
        reasonCode?: number
        returnCode?: number
      }
      return { raw, code: version === 5 ? reasonCode : returnCode }
    }
    const { raw: first } = await connect(5, 'first')
    await connect(4, 'second')
    expect((await connect(5, 'third')).code).toBe(0x97)
    expect((await connect(4, 'third')).code).toBe(3)
    expect((await connect(5, 'second')).code).toBe(0)
    expect((await connect(5, 'third')).code).toBe(0x97)
    const stranger = new RawClient(gateway.port, 5)
    expect(await stranger.connect(gateway.tables.addClient())).toMatchObject({ reasonCode: 0 })
    stranger.end()
    first.end()
    await eventually(async () => expect((await connect(5, 'third')).code).toBe(0))
    expect(refused(gateway, 'client_connections')).toBeGreaterThanOrEqual(3)
  })
})

describe('a domain over its number', () => {
  it('of connections leaves room for others', async () => {
    const gateway = await start({ quota: { perDomain: 1 } })
    await signIn(gateway, 5)
    const one = new RawClient(gateway.port, 5)
    expect(await one.connect(gateway.tables.addClient())).toMatchObject({ reasonCode: 0x97 })
    await one.closed()
    const other = new RawClient(gateway.port, 5)
    const domainId = randomUUID()
    expect(await other.connect(gateway.tables.addClient({ domainId }))).toMatchObject({ reasonCode: 0 })
    other.end()
    expect(refused(gateway, 'domain_connections')).toBe(1)
  })

  it('of subscriptions gets 0x97 for one more, until some are gone', async () => {
    const gateway = await start({ limits: { maxDomainSubscriptions: 2 } })
    const channel = gateway.tables.addChannel()
    async function open() {
      const raw = new RawClient(gateway.port, 5)
      onTestFinished(() => raw.end())
      await raw.connect(addMember(gateway.tables, channel))
      return raw
    }
    async function granted(raw: RawClient, ...levels: string[]) {
      const subscriptions = levels.map((level) => ({ topic: topicOf(channel, level), qos: 0 as const }))
      raw.send({ cmd: 'subscribe', messageId: 1, subscriptions })
      return (await raw.next('suback')).granted
    }
    const [first, second] = [await open(), await open()]
    expect(await granted(first, 'a', 'a', 'b', 'c')).toEqual([0, 0, 0, 0x97])
    expect(await granted(second, 'a')).toEqual([0x97])
    first.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: [topicOf(channel, 'a')] })
    await first.next('unsuback')
    expect(await granted(second, 'a', 'b')).toEqual([0, 0x97])
    first.end()
    await eventually(async () => expect(await granted(second, 'b')).toEqual([0]))
    expect(refused(gateway, 'domain_subscriptions')).toBeGreaterThanOrEqual(3)
  })
})

describe('new connections beyond a rate', () => {
  it.each([
    ['client', { perClientPerS: ONE }],
    ['domain', { perDomainPerS: ONE }],
  ])('of their %s are refused with 0x9F or 3, and keep the one that is there', async (whose, quota) => {
    const gateway = await start({ quota })
    const client = gateway.tables.addClient()
    const first = new RawClient(gateway.port, 5)
    await first.connect(client, { clientId: 'same' })
    const five = new RawClient(gateway.port, 5)
    expect(await five.connect(client, { clientId: 'same' })).toMatchObject({ reasonCode: 0x9f })
    const four = new RawClient(gateway.port, 4)
    expect(await four.connect(client, { clientId: 'same' })).toMatchObject({ returnCode: 3 })
    first.send({ cmd: 'pingreq' })
    await first.next('pingresp')
    expect(refused(gateway, `${whose}_connect_rate`)).toBe(2)
    first.end()
  })
})

describe('other limits out of the configuration', () => {
  it('bound the subscriptions of a session, and its topics in length and depth', async () => {
    const gateway = await start({ limits: { maxSubscriptions: 2, topics: { maxLevels: 6, maxBytes: 120 } } })
    const channel = gateway.tables.addChannel()
    const raw = new RawClient(gateway.port, 5)
    await raw.connect(addMember(gateway.tables, channel))
    const filters = ['a', 'b', 'c'].map((level) => topicOf(channel, level))
    const tooDeep = topicOf(channel, 'a', 'b', 'c')
    const tooLong = topicOf(channel, 'ä'.repeat(30))
    raw.send({
      cmd: 'subscribe',
      messageId: 1,
      subscriptions: [tooDeep, tooLong, ...filters].map((topic) => ({ topic, qos: 0 })),
    })
    expect(await raw.next('suback')).toMatchObject({ granted: [0x8f, 0x8f, 0, 0, 0x97] })
    raw.send({ ...PUBLISH, topic: tooDeep }, { ...PUBLISH, topic: tooLong, messageId: 2 })
    for (let index = 0; index < 2; index += 1) {
      expect(await raw.next('puback')).toMatchObject({ reasonCode: 0x90 })
    }
    raw.end()
  })
})
