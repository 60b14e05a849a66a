import { afterEach, describe, expect, it } from 'vitest'
import type { Publish } from '../../../adapters/publish.ts'
import { startTestBus } from '../../support/bus.ts'
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

/** Throws for payloads that say so, which nothing should. */
function withBug(publish: Publish): Publish {
  return (message, done) => {
    if (Buffer.from(message.payload).toString() === 'bug') throw new Error('a bug of ours')
    publish(message, done)
  }
}

let gateway: TestGateway
useGateway(
  (started) => {
    gateway = started
  },
  { publish: withBug },
)

const opened: RawClient[] = []
afterEach(() => {
  for (const raw of opened.splice(0)) raw.end()
})

async function open(version: 4 | 5, ...connect: Parameters<RawClient['connect']>): Promise<RawClient> {
  const raw = new RawClient(gateway.port, version)
  opened.push(raw)
  await raw.connect(...connect)
  return raw
}

describe('a subscriber that does not read', () => {
  it('loses QoS 0 messages instead of collecting them here, and holds nobody else up', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const slow = await open(4, member, { clientId: 'slow' })
    slow.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: topicOf(channel), qos: 0 }] })
    await slow.next('suback')
    slow.socket.pause()
    const publisher = await connectClient(gateway, member, { clientId: 'publisher' })
    const received = collect(publisher)
    await publisher.subscribeAsync(topicOf(channel))
    const payload = 'x'.repeat(60_000)
    const dropped = gateway.metrics.refused('mqtt', 'slow_receiver')
    let sent = 0
    while (dropped.value === 0 && sent < 2_000) {
      await publisher.publishAsync(topicOf(channel), payload, { qos: 1 })
      sent += 1
    }
    expect(dropped.value).toBeGreaterThan(0)
    await eventually(() => expect(received).toHaveLength(sent))
    slow.socket.resume()
    await slow.next('publish')
    // It reads again, so it gets what comes from now on, once it has caught up.
    await eventually(async () => {
      await publisher.publishAsync(topicOf(channel), 'again', { qos: 1 })
      expect(slow.packets.some((packet) => packet.cmd === 'publish' && packet.payload.length === 5)).toBe(
        true,
      )
    })
    await publisher.endAsync()
  })
})

describe('keep alive', () => {
  it('counts acknowledgements, which Aedes does not see, as signs of life', async () => {
    const channel = gateway.tables.addChannel()
    const raw = await open(4, addMember(gateway.tables, channel), { keepalive: 1 })
    const until = Date.now() + 2_000
    while (Date.now() < until) {
      raw.send({ cmd: 'puback', messageId: 1 })
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    expect(raw.isClosed).toBe(false)
    raw.send({ cmd: 'pingreq' })
    await raw.next('pingresp')
  })
})

describe('a will of MQTT 5 with a delay', () => {
  it('comes without the delay in it, and not at all when the client is back in time', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const listener = await open(5, member, { clientId: 'listener' })
    listener.send({
      cmd: 'subscribe',
      messageId: 1,
      subscriptions: [{ topic: topicOf(channel, '#'), qos: 1 }],
    })
    await listener.next('suback')
    const willOf = (payload: string) => ({
      properties: { sessionExpiryInterval: 60 },
      will: {
        topic: topicOf(channel, payload),
        payload,
        qos: 1 as const,
        properties: { willDelayInterval: 1 },
      },
    })
    const [back, gone] = [
      await open(5, member, { clientId: 'back', ...willOf('back') }),
      await open(5, member, { clientId: 'gone', ...willOf('gone') }),
    ]
    back.end()
    gone.end()
    await back.closed()
    await open(5, member, { clientId: 'back', clean: false, properties: { sessionExpiryInterval: 60 } })
    const delivered = await listener.next('publish')
    expect(delivered.payload.toString()).toBe('gone')
    expect(delivered.properties).toBeUndefined()
    expect(listener.packets).toEqual([])
  })
})

describe('a bug of ours', () => {
  it('costs the connection that met it, and no other', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const healthy = await open(5, member, { clientId: 'healthy' })
    for (const isKnownTopic of [false, true]) {
      const raw = await open(5, member, { clientId: 'unlucky' })
      if (isKnownTopic) {
        raw.send({ ...PUBLISH, topic: topicOf(channel) })
        await raw.next('puback')
      }
      raw.send({ ...PUBLISH, topic: topicOf(channel), payload: 'bug' })
      expect((await raw.next('disconnect')).reasonCode).toBe(0x80)
      await raw.closed()
    }
    healthy.send({ cmd: 'pingreq' })
    await healthy.next('pingresp')
    expect(gateway.metrics.refused('mqtt', 'internal').value).toBe(2)
  })
})

describe('without a bus', () => {
  it('filters are refused and publications are not acknowledged', async () => {
    const testBus = await startTestBus()
    const lonely = await startMqttGateway(testBus.bus)
    const channel = lonely.tables.addChannel()
    const member = addMember(lonely.tables, channel)
    const [raw, older] = [new RawClient(lonely.port, 5), new RawClient(lonely.port, 4)]
    opened.push(raw, older)
    await raw.connect(member)
    await older.connect(member, { clientId: 'older' })
    await testBus.nats.stop()
    await eventually(() => expect(testBus.bus.isConnected).toBe(false))
    raw.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: topicOf(channel), qos: 1 }] })
    expect((await raw.next('suback')).granted).toEqual([0x80])
    raw.send({ ...PUBLISH, topic: topicOf(channel) })
    expect((await raw.next('puback')).reasonCode).toBe(0x97)
    older.send({ ...PUBLISH, topic: topicOf(channel) })
    await older.closed()
    expect(older.packets).toEqual([])
    await lonely.stop()
    await testBus.bus.drain()
  })
})

describe('No Local of MQTT 5', () => {
  it('keeps what a client publishes from itself, and from nobody else', async () => {
    const channel = gateway.tables.addChannel()
    const [member, other] = [addMember(gateway.tables, channel), addMember(gateway.tables, channel)]
    const raws = [
      await open(5, member, { clientId: 'own' }),
      await open(5, other, { clientId: 'other' }),
    ] as const
    for (const raw of raws) {
      raw.send({
        cmd: 'subscribe',
        messageId: 1,
        subscriptions: [{ topic: topicOf(channel), qos: 0, nl: true }],
      })
      await raw.next('suback')
    }
    const [own, listener] = raws
    own.send({ ...PUBLISH, topic: topicOf(channel), payload: 'from own' })
    expect((await listener.next('publish')).payload.toString()).toBe('from own')
    listener.send({ ...PUBLISH, topic: topicOf(channel), payload: 'from other' })
    expect((await own.next('publish')).payload.toString()).toBe('from other')
  })
})
