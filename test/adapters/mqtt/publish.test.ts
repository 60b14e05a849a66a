import type { Packet } from 'mqtt-packet'
import { describe, expect, it } from 'vitest'
import type { Publish } from '../../../adapters/publish.ts'
import { InvalidInput, Unavailable } from '../../../platform/errors.ts'
import type { Message } from '../../../platform/bus/message.ts'
import { addMember, eventually, PUBLISH, RawClient, topicOf, useGateway } from './support.ts'
import type { TestGateway } from './support.ts'

/** Answers of the stream that are held back, in the order of publishing. */
const held: { message: Message; answer: (error?: Error) => void }[] = []
let isHolding = false

/** The real thing, but messages that say "full" meet a full stream, and answers can be held back. */
function withFaults(publish: Publish): Publish {
  return (message, done) => {
    if (Buffer.from(message.payload).toString() === 'full') done(new Unavailable('stream is full'))
    else if (isHolding) publish(message, (error) => held.push({ message, answer: () => done(error) }))
    else publish(message, done)
  }
}

let gateway: TestGateway
useGateway(
  (started) => {
    gateway = started
  },
  {
    publish: withFaults,
    checkPayload: (_type, payload) =>
      payload[0] === 0x5b ? undefined : new InvalidInput('not a pack', { code: 'not_a_pack' }),
  },
)

type PublishPacket = Extract<Packet, { cmd: 'publish' }>

function publishPacket(topic: string, options: Partial<PublishPacket> = {}): PublishPacket {
  return { ...PUBLISH, topic, ...options }
}

describe('a publication that is refused', () => {
  it.each([
    ['to a channel the client is not connected to', () => topicOf(gateway.tables.addChannel()), 0x87],
    ['to no channel at all', () => 'm/d/c/none', 0x87],
    ['on a topic outside the grammar', () => 'elsewhere', 0x90],
  ])('%s is answered with its reason on MQTT 5, and the connection stays', async (_what, topic, reason) => {
    const raw = new RawClient(gateway.port, 5)
    await raw.connect(gateway.tables.addClient())
    raw.send(publishPacket(topic()), publishPacket(topic(), { qos: 2, messageId: 2 }))
    expect(await raw.next('puback')).toMatchObject({ messageId: 1, reasonCode: reason })
    expect(await raw.next('pubrec')).toMatchObject({ messageId: 2, reasonCode: reason })
    raw.send({ ...publishPacket(topic()), qos: 0 }, { cmd: 'pingreq' })
    await raw.next('pingresp')
    expect(raw.packets).toEqual([])
    raw.end()
  })

  it('is answered in its place between those that are taken', async () => {
    const raw = new RawClient(gateway.port, 5)
    const channel = gateway.tables.addChannel()
    await raw.connect(addMember(gateway.tables, channel))
    const packets = Array.from({ length: 20 }, (_, index) =>
      publishPacket(topicOf(channel), { messageId: index + 1, payload: index % 3 === 0 ? 'full' : 'x' }),
    )
    raw.send(...packets)
    for (const { messageId } of packets) {
      expect(await raw.next('puback')).toMatchObject({ messageId }) // [MQTT-4.6.0-2]
    }
    raw.end()
  })

  it.each([0, 1, 2] as const)('ends the connection on MQTT 3.1.1, QoS %i', async (qos) => {
    const raw = new RawClient(gateway.port, 4)
    await raw.connect(gateway.tables.addClient())
    raw.send(publishPacket(topicOf(gateway.tables.addChannel()), { qos }))
    await raw.closed()
    expect(raw.packets).toEqual([])
  })

  it.each(['#', '+/a'])('has a wildcard (%s) in its topic: the connection ends', async (level) => {
    const raw = new RawClient(gateway.port, 5)
    await raw.connect(gateway.tables.addClient())
    raw.send(publishPacket(`m/d/c/x/${level}`))
    expect((await raw.next('disconnect')).reasonCode).toBe(0x90)
    await raw.closed()
  })

  it('by a full stream is never acknowledged', async () => {
    const channel = gateway.tables.addChannel()
    const client = addMember(gateway.tables, channel)
    const raw = new RawClient(gateway.port, 5)
    await raw.connect(client)
    const full = publishPacket(topicOf(channel), { payload: 'full' })
    raw.send(full, { ...full, qos: 2, messageId: 2 })
    expect((await raw.next('puback')).reasonCode).toBe(0x97)
    expect((await raw.next('pubrec')).reasonCode).toBe(0x97)
    // The identifier is free: the next message with it is another one.
    raw.send(publishPacket(topicOf(channel), { qos: 2, messageId: 2 }))
    expect((await raw.next('pubrec')).reasonCode).toBe(0)
    raw.end()
    const older = new RawClient(gateway.port, 4)
    await older.connect(client)
    older.send(full)
    await older.closed()
    expect(older.packets).toEqual([])
  })

  it('for broken SenML says so (0x99) when MQTT 5 declares it', async () => {
    const channel = gateway.tables.addChannel()
    const raw = new RawClient(gateway.port, 5)
    await raw.connect(addMember(gateway.tables, channel))
    const properties = { contentType: 'application/senml+json' }
    raw.send(publishPacket(topicOf(channel), { payload: '{}', properties }))
    expect((await raw.next('puback')).reasonCode).toBe(0x99)
    raw.send(publishPacket(topicOf(channel), { payload: '[]', properties }))
    expect((await raw.next('puback')).reasonCode).toBe(0)
    raw.end()
  })
})

describe('an acknowledgement', () => {
  it.each([
    [1, 'puback'],
    [2, 'pubrec'],
  ] as const)('of QoS %i (%s) waits for the stream', async (qos, answer) => {
    const channel = gateway.tables.addChannel()
    const raw = new RawClient(gateway.port, 4)
    await raw.connect(addMember(gateway.tables, channel))
    isHolding = true
    raw.send(publishPacket(topicOf(channel), { qos }))
    await eventually(() => expect(held).toHaveLength(1))
    expect(raw.packets).toEqual([])
    isHolding = false
    held.pop()?.answer()
    await raw.next(answer)
    raw.end()
  })

  it('comes in the order of publishing, whatever order the stream answers in', async () => {
    const channel = gateway.tables.addChannel()
    const raw = new RawClient(gateway.port, 5)
    await raw.connect(addMember(gateway.tables, channel))
    isHolding = true
    raw.send(...[1, 2, 3].map((messageId) => publishPacket(topicOf(channel), { messageId })))
    await eventually(() => expect(held).toHaveLength(3))
    isHolding = false
    for (const { answer } of held.splice(0).reverse()) answer()
    for (const expected of [1, 2, 3]) expect((await raw.next('puback')).messageId).toBe(expected)
    raw.end()
  })
})

describe('publications on a topic that was used before', () => {
  /** Signed in, its topic known. */
  async function publisher(version: 4 | 5): Promise<{ raw: RawClient; topic: string }> {
    const channel = gateway.tables.addChannel()
    const raw = new RawClient(gateway.port, version)
    await raw.connect(addMember(gateway.tables, channel))
    raw.send(publishPacket(topicOf(channel)))
    await raw.next('puback')
    return { raw, topic: topicOf(channel) }
  }

  it('are acknowledged in their order, plain ones and those with properties', async () => {
    const { raw, topic } = await publisher(5)
    isHolding = true
    const properties = { userProperties: { a: 'b' } }
    raw.send(
      publishPacket(topic, { messageId: 1 }),
      publishPacket(topic, { messageId: 2, properties }),
      publishPacket(topic, { messageId: 3 }),
    )
    await eventually(() => expect(held).toHaveLength(3))
    raw.send(publishPacket(topic, { messageId: 4 }))
    expect(held.map(({ message }) => message.qos)).toEqual([1, 1, 1])
    isHolding = false
    for (const { answer } of held.splice(0).reverse()) answer()
    for (const expected of [1, 2, 3, 4]) expect((await raw.next('puback')).messageId).toBe(expected)
    raw.end()
  })

  it('are read no further than their acknowledgements allow', async () => {
    const { raw, topic } = await publisher(4)
    isHolding = true
    const ids = Array.from({ length: 2_000 }, (_, index) => index + 1)
    raw.send(...ids.map((messageId) => publishPacket(topic, { messageId })))
    await eventually(() => expect(held.length).toBeGreaterThan(100))
    await new Promise((resolve) => setImmediate(resolve))
    expect(held.length).toBeLessThan(1_000)
    isHolding = false
    for (const { answer } of held.splice(0)) answer()
    for (const expected of ids) expect((await raw.next('puback')).messageId).toBe(expected)
    raw.end()
  })

  it('are told apart by every byte of the topic', async () => {
    const { raw, topic } = await publisher(4)
    // In UTF-8 the second is, byte by byte, what the first is in Latin-1.
    const levels = ['Ã©', 'é', 'Ã©', 'é']
    isHolding = true
    for (const [index, level] of levels.entries()) {
      raw.send(publishPacket(`${topic}/${level}`, { messageId: index + 1 }))
      await eventually(() => expect(held).toHaveLength(index + 1))
    }
    isHolding = false
    const answers = held.splice(0)
    expect(answers.map(({ message }) => message.levels)).toEqual(levels.map((level) => [level]))
    for (const { answer } of answers) answer()
    for (const expected of [1, 2, 3, 4]) expect((await raw.next('puback')).messageId).toBe(expected)
    raw.end()
  })
})

describe('a flood of QoS 0', () => {
  it('is read no faster than the stream takes it, and arrives whole and in order', async () => {
    const channel = gateway.tables.addChannel()
    const raw = new RawClient(gateway.port, 4)
    await raw.connect(addMember(gateway.tables, channel))
    const count = 20_000
    const packets = Array.from({ length: count }, (_, index) =>
      publishPacket(topicOf(channel), { qos: 0, payload: String(index) }),
    )
    isHolding = true
    raw.send(...packets)
    // More is held back than one connection may have on its way, and then nothing moves: the rest is still in the socket.
    await eventually(() => expect(held.length).toBeGreaterThan(256))
    const wasHeld = held.length
    await new Promise((resolve) => setImmediate(resolve))
    expect(wasHeld).toBeLessThan(count / 4)
    const payloads: string[] = []
    const drain = (): void => {
      for (const { message, answer } of held.splice(0)) {
        payloads.push(Buffer.from(message.payload).toString())
        answer()
      }
    }
    await eventually(() => {
      drain()
      expect(payloads).toHaveLength(count)
    })
    expect(payloads).toEqual(packets.map(({ payload }) => payload))
    isHolding = false
    raw.end()
  })
})
