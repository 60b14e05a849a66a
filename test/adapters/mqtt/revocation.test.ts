import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { announce } from '../../support/authority.ts'
import type { Channel, Client } from '../../support/authority.ts'
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
/** Another process on the same bus, with the same management side. */
let other: TestGateway
beforeAll(async () => {
  other = await startMqttGateway(await testBus.connect(), { tables: gateway.tables })
})
afterAll(() => other.stop())

async function connect(client: Client, channel: Channel): Promise<void> {
  gateway.tables.allow(client, channel, 'publish', 'subscribe')
  await announce(testBus.bus, {
    operation: 'channel.connect',
    domain_id: channel.domainId,
    attributes: { client_ids: [client.id], channel_ids: [channel.id] },
  })
}

async function disconnect(client: Client, channel: Channel): Promise<void> {
  gateway.tables.forbid(client, channel)
  await announce(testBus.bus, {
    operation: 'channel.disconnect',
    domain_id: channel.domainId,
    attributes: { client_ids: [client.id], channel_ids: [channel.id] },
  })
}

describe.each(['the same process', 'another process'])('after a disconnect, seen by %s,', (where) => {
  const at = (): TestGateway => (where === 'another process' ? other : gateway)

  it('a client receives no more, and receives again after a new connect', async () => {
    const channel = gateway.tables.addChannel()
    const leaver = addMember(gateway.tables, channel)
    const member = addMember(gateway.tables, channel)
    const client = await connectClient(at(), leaver)
    const publisher = await connectClient(gateway, member)
    const witness = await connectClient(at(), member, { clientId: 'witness' })
    const [received, witnessed] = [collect(client), collect(witness)]
    await client.subscribeAsync(topicOf(channel, '#'), { qos: 1 })
    await witness.subscribeAsync(topicOf(channel, '#'), { qos: 1 })
    await publisher.publishAsync(topicOf(channel, 'before'), '', { qos: 1 })
    await eventually(() => expect(received).toHaveLength(1))
    await disconnect(leaver, channel)
    await eventually(async () => {
      const sofar = received.length
      const seen = witnessed.length
      await publisher.publishAsync(topicOf(channel, 'after'), '', { qos: 1 })
      await eventually(() => expect(witnessed.length).toBeGreaterThan(seen))
      expect(received.length).toBe(sofar)
    })
    await connect(leaver, channel)
    const sofar = received.length
    await eventually(async () => {
      await publisher.publishAsync(topicOf(channel, 'again'), '', { qos: 1 })
      expect(received.length).toBeGreaterThan(sofar)
    })
    for (const each of [client, publisher, witness]) await each.endAsync()
  })

  it('a client publishes no more on a topic it used before', async () => {
    const channel = gateway.tables.addChannel()
    const client = addMember(gateway.tables, channel)
    const raw = new RawClient(at().port, 5)
    await raw.connect(client)
    const packet = {
      ...PUBLISH,
      topic: topicOf(channel),
      qos: 1,
      messageId: 1,
    } as const
    raw.send(packet)
    expect((await raw.next('puback')).reasonCode).toBe(0)
    await disconnect(client, channel)
    await eventually(async () => {
      raw.send(packet)
      expect((await raw.next('puback')).reasonCode).toBe(0x87)
    })
    raw.end()
  })

  it.each(['is disabled', 'has a new secret'])('a client that %s loses its connection', async (what) => {
    const client = gateway.tables.addClient()
    const [raw, older] = [new RawClient(at().port, 5), new RawClient(at().port, 4)]
    await raw.connect(client)
    await older.connect(client, { clientId: 'older' })
    if (what === 'is disabled') client.isEnabled = false
    else client.secret = 'rotated'
    await announce(testBus.bus, {
      operation: 'client.update',
      domain_id: client.domainId,
      entity_id: client.id,
    })
    expect((await raw.next('disconnect')).reasonCode).toBe(0x87)
    await raw.closed()
    await older.closed()
  })
})

describe('a kept session', () => {
  it('brings nothing from a channel that its client is disconnected from when it returns', async () => {
    const channel = gateway.tables.addChannel()
    const sleeper = addMember(gateway.tables, channel)
    const member = addMember(gateway.tables, channel)
    const options = { clientId: 'sleeper', clean: false } as const
    const before = await connectClient(gateway, sleeper, options)
    await before.subscribeAsync(topicOf(channel, '#'), { qos: 1 })
    await before.endAsync()
    await disconnect(sleeper, channel)
    const publisher = await connectClient(gateway, member)
    const witness = collect(publisher)
    await publisher.subscribeAsync(topicOf(channel, '#'))
    await publisher.publishAsync(topicOf(channel), 'secret', { qos: 1 })
    await eventually(() => expect(witness).toHaveLength(1))
    const raw = new RawClient(gateway.port, 4)
    expect(await raw.connect(sleeper, options)).toMatchObject({ sessionPresent: true })
    raw.send({ cmd: 'pingreq' })
    await raw.next('pingresp')
    await publisher.publishAsync(topicOf(channel), 'secret too', { qos: 1 })
    await eventually(() => expect(witness).toHaveLength(2))
    await connect(sleeper, channel)
    // Back in: what comes now arrives, and the first to arrive is not one from before.
    await eventually(async () => {
      await publisher.publishAsync(topicOf(channel), 'open', { qos: 1 })
      expect(raw.packets.some(({ cmd }) => cmd === 'publish')).toBe(true)
    })
    expect((await raw.next('publish')).payload.toString()).toBe('open')
    raw.end()
    await publisher.endAsync()
  })
})
