import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
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

describe.each([4, 5] as const)('CONNECT, protocol level %i', (version) => {
  const codeOf = (packet: object) =>
    'reasonCode' in packet ? packet.reasonCode : (packet as { returnCode?: number }).returnCode
  const badCredentials = version === 5 ? 0x86 : 4
  const notAuthorized = version === 5 ? 0x87 : 5
  const unavailable = version === 5 ? 0x88 : 3

  it.each([
    ['a wrong secret', { password: Buffer.from('wrong') }],
    ['no user name', { username: undefined, password: undefined }],
    ['an empty user name', { username: '' }],
    ['a user name that is no client id', { username: 'admin' }],
    ['the id of another client', { username: randomUUID() }],
  ])('with %s is refused as bad credentials', async (_what, options) => {
    const raw = new RawClient(gateway.port, version)
    const connack = await raw.connect(gateway.tables.addClient(), options)
    expect(codeOf(connack)).toBe(badCredentials)
    await raw.closed()
  })

  it('of a disabled client is refused, in the same words', async () => {
    const client = gateway.tables.addClient({ isEnabled: false })
    const raw = new RawClient(gateway.port, version)
    expect(codeOf(await raw.connect(client))).toBe(badCredentials)
    await raw.closed()
  })

  it('is refused as unavailable while nobody answers who that is', async () => {
    gateway.tables.gate = () => Promise.reject(new Error('away'))
    const raw = new RawClient(gateway.port, version)
    expect(codeOf(await raw.connect(gateway.tables.addClient()))).toBe(unavailable)
    gateway.tables.gate = () => Promise.resolve()
    await raw.closed()
  })

  it('with a will that the client may not publish is refused', async () => {
    const raw = new RawClient(gateway.port, version)
    const topic = topicOf(gateway.tables.addChannel())
    const connack = await raw.connect(gateway.tables.addClient(), {
      will: { topic, payload: 'gone', qos: 1 },
    })
    expect(codeOf(connack)).toBe(notAuthorized)
    await raw.closed()
  })

  it('with a will on no topic of ours is refused', async () => {
    const raw = new RawClient(gateway.port, version)
    const will = { topic: 'anything', payload: 'gone' }
    expect(codeOf(await raw.connect(gateway.tables.addClient(), { will }))).toBe(version === 5 ? 0x90 : 5)
    await raw.closed()
  })

  it('takes the session over from the same client with the same identifier, and from nobody else', async () => {
    const client = gateway.tables.addClient()
    const stranger = gateway.tables.addClient()
    const first = new RawClient(gateway.port, version)
    await first.connect(client, { clientId: 'shared' })
    const other = new RawClient(gateway.port, version)
    expect(codeOf(await other.connect(stranger, { clientId: 'shared' }))).toBe(0)
    first.send({ cmd: 'pingreq' })
    await first.next('pingresp')
    const second = new RawClient(gateway.port, version)
    await second.connect(client, { clientId: 'shared' })
    if (version === 5) expect((await first.next('disconnect')).reasonCode).toBe(0x8e)
    await first.closed()
    for (const raw of [other, second]) {
      raw.send({ cmd: 'pingreq' })
      await raw.next('pingresp')
      raw.end()
    }
  })

  it('many times at once with the same identifier leaves one connection, and tells the others why', async () => {
    const client = gateway.tables.addClient()
    const taken = gateway.metrics.refused('mqtt', 'session_taken_over')
    const before = taken.value
    const raws = Array.from({ length: 10 }, () => new RawClient(gateway.port, version))
    const connacks = await Promise.all(raws.map((raw) => raw.connect(client, { clientId: 'race' })))
    await eventually(() => expect(raws.filter(({ isClosed }) => !isClosed)).toHaveLength(1))
    expect(taken.value).toBe(before + 9)
    const refused = connacks.filter((connack) => codeOf(connack) !== 0)
    expect(refused.length).toBeGreaterThan(0)
    for (const connack of refused) {
      expect(connack).toMatchObject(
        version === 5
          ? { reasonCode: 0x80, properties: { reasonString: 'another connection has taken the session' } }
          : { returnCode: 3 },
      )
    }
    const last = raws.find(({ isClosed }) => !isClosed)
    last?.send({ cmd: 'pingreq' })
    await last?.next('pingresp')
    last?.end()
  })

  it('may be followed by other packets at once', async () => {
    const channel = gateway.tables.addChannel()
    const client = addMember(gateway.tables, channel)
    const raw = new RawClient(gateway.port, version)
    const connack = raw.connect(client)
    raw.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: topicOf(channel), qos: 1 }] })
    raw.send({
      ...PUBLISH,
      topic: topicOf(channel),
      qos: 1,
      messageId: 2,
    })
    await connack
    await raw.next('suback')
    await raw.next('puback')
    expect((await raw.next('publish')).payload.toString()).toBe('x')
    raw.end()
  })

  it('sends the will when the connection breaks, and not after DISCONNECT', async () => {
    const channel = gateway.tables.addChannel()
    const client = addMember(gateway.tables, channel)
    const listener = await connectClient(gateway, client, { clientId: 'listener' })
    const received = collect(listener)
    await listener.subscribeAsync(topicOf(channel, '#'), { qos: 1 })
    const polite = new RawClient(gateway.port, version)
    await polite.connect(client, {
      clientId: 'polite',
      will: { topic: topicOf(channel, 'will'), payload: 'polite' },
    })
    polite.send({ cmd: 'disconnect' })
    await polite.closed()
    const rude = new RawClient(gateway.port, version)
    await rude.connect(client, {
      clientId: 'rude',
      will: { topic: topicOf(channel, 'will'), payload: 'rude', qos: 1 },
    })
    rude.end()
    await eventually(() => expect(received.map(({ payload }) => payload)).toEqual(['rude']))
    await listener.endAsync()
  })
})

describe('the MQTT client identifier', () => {
  it('may be empty for a clean session', async () => {
    const raw = new RawClient(gateway.port, 4)
    expect(await raw.connect(gateway.tables.addClient(), { clientId: '' })).toMatchObject({ returnCode: 0 })
    raw.end()
  })

  it('must not be empty for a session to keep: return code 2', async () => {
    const raw = new RawClient(gateway.port, 4)
    const connack = await raw.connect(gateway.tables.addClient(), { clientId: 'x', clean: false })
    expect(connack).toMatchObject({ returnCode: 0 })
    const other = new RawClient(gateway.port, 4)
    // mqtt-packet does not write such a CONNECT, so it is written out: MQTT 3.1.1, no flags, keep alive 60, no identifier.
    other.write([0x10, 12, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 0, 0, 60, 0, 0])
    expect(await other.next('connack')).toMatchObject({ returnCode: 2 })
    await other.closed()
    raw.end()
  })

  it('is assigned when MQTT 5 asks for one, without our prefix, and works for coming back', async () => {
    const client = gateway.tables.addClient()
    const raw = new RawClient(gateway.port, 5)
    const properties = { sessionExpiryInterval: 60 }
    const connack = await raw.connect(client, { clientId: '', properties })
    const assigned = (connack as { properties?: { assignedClientIdentifier?: string } }).properties
      ?.assignedClientIdentifier
    expect(assigned).toMatch(/^auto-[0-9a-f-]{36}$/)
    raw.end()
    await raw.closed()
    const again = new RawClient(gateway.port, 5)
    expect(await again.connect(client, { clientId: assigned ?? '', clean: false, properties })).toMatchObject(
      {
        sessionPresent: true,
      },
    )
    again.end()
  })

  it('may be long', async () => {
    const raw = new RawClient(gateway.port, 4)
    const connack = await raw.connect(gateway.tables.addClient(), { clientId: 'x'.repeat(300) })
    expect(connack).toMatchObject({ returnCode: 0 })
    raw.end()
  })
})

describe('CONNACK of MQTT 5', () => {
  it('tells the limits, and a keep alive to who asks for none', async () => {
    const raw = new RawClient(gateway.port, 5)
    const connack = await raw.connect(gateway.tables.addClient(), {
      keepalive: 0,
      properties: { sessionExpiryInterval: 0xffffffff },
    })
    expect(connack).toMatchObject({
      properties: {
        serverKeepAlive: 1_200,
        receiveMaximum: 200,
        maximumPacketSize: 64 * 1024,
        sessionExpiryInterval: 3_600,
        sharedSubscriptionAvailable: true,
      },
    })
    raw.end()
  })

  it('leaves a shorter keep alive alone, and enforces it', async () => {
    const raw = new RawClient(gateway.port, 5)
    const connack = await raw.connect(gateway.tables.addClient(), { keepalive: 1 })
    expect(connack).not.toHaveProperty('properties.serverKeepAlive')
    expect((await raw.next('disconnect')).reasonCode).toBe(0x8d)
    await raw.closed()
  })
})

describe('limits on connections', () => {
  it('close what does not say CONNECT in time', async () => {
    const hasty = await startMqttGateway(testBus.bus, { limits: { connectTimeoutMs: 100 } })
    const raw = new RawClient(hasty.port)
    await raw.closed()
    expect(hasty.metrics.refused('mqtt', 'connect_timeout').value).toBe(1)
    await hasty.stop()
  })

  it('count strangers of an address, and not those who are known', async () => {
    const small = await startMqttGateway(testBus.bus, { limits: { maxUnauthenticatedPerAddress: 2 } })
    const client = small.tables.addClient()
    const known = []
    for (const clientId of ['a', 'b', 'c']) {
      const raw = new RawClient(small.port)
      await raw.connect(client, { clientId })
      known.push(raw)
    }
    const strangers = [new RawClient(small.port), new RawClient(small.port), new RawClient(small.port)]
    await eventually(() => expect(strangers.filter(({ isClosed }) => isClosed)).toHaveLength(1))
    expect(small.metrics.refused('mqtt', 'too_many_unauthenticated').value).toBe(1)
    for (const raw of [...known, ...strangers]) raw.end()
    await small.stop()
  })

  it('bound all of them', async () => {
    const small = await startMqttGateway(testBus.bus, { limits: { maxConnections: 1 } })
    const first = new RawClient(small.port)
    await first.connect(small.tables.addClient())
    const second = new RawClient(small.port)
    await second.closed()
    first.end()
    await first.closed()
    await eventually(async () => {
      const third = new RawClient(small.port)
      await third.connect(small.tables.addClient())
    })
    await small.stop()
  })
})

describe('stopping', () => {
  it('tells MQTT 5 clients, sends wills, and leaves no connection', async () => {
    const other = await startMqttGateway(testBus.bus)
    const channel = gateway.tables.addChannel()
    const client = addMember(gateway.tables, channel)
    const listener = await connectClient(gateway, client)
    const received = collect(listener)
    await listener.subscribeAsync(topicOf(channel))
    other.tables.channels.push(channel)
    other.tables.clients.push(client)
    other.tables.allow(client, channel, 'publish')
    const raw = new RawClient(other.port, 5)
    await raw.connect(client, { will: { topic: topicOf(channel), payload: 'gone', qos: 1 } })
    await other.stop()
    expect((await raw.next('disconnect')).reasonCode).toBe(0x8b)
    await raw.closed()
    await eventually(() => expect(received).toHaveLength(1))
    expect(other.metrics.connections('mqtt').value).toBe(0)
    await listener.endAsync()
  })
})
