import { describe, expect, it } from 'vitest'
import type { TestBus } from '../../../support/bus.ts'
import {
  connectBytes,
  connectPacket,
  encode,
  packet,
  RawClient,
  text,
} from '../../../support/mqtt-packets.ts'
import { addMember, eventually, startMqttGateway, topicOf, useGateway, useRawClients } from '../support.ts'
import type { TestGateway } from '../support.ts'

let gateway: TestGateway
let testBus: TestBus
useGateway((started, bus) => {
  gateway = started
  testBus = bus
})
const open = useRawClients(() => gateway)

describe.each([4, 5] as const)('CONNECT, protocol level %i,', (version) => {
  const p5 = version === 5 ? [0] : []
  /** Keeps the session over the end of the connection. */
  const keep = version === 5 ? { properties: { sessionExpiryInterval: 60 } } : {}
  const codeOf = (connack: object) =>
    'reasonCode' in connack ? connack.reasonCode : (connack as { returnCode?: number }).returnCode

  it.each([
    ['the will topic', 0xc6, []],
    ['the will payload', 0xc6, [...p5, ...text('m/d/c/x')]],
    ['the user name', 0xc2, []],
    ['the password', 0xc2, text('name')],
  ])('that announces %s and ends before it is malformed', async (_what, flags, rest) => {
    const raw = new RawClient(gateway.port, version)
    raw.write(connectBytes({ level: version, flags, rest: [...p5, ...text('x'), ...rest] }))
    if (version === 5) expect((await raw.next('connack')).reasonCode).toBe(0x81)
    await raw.closed()
    expect(raw.packets).toEqual([])
  })

  it.each([
    ['a user name', 0x02],
    ['a password', 0x82],
  ])('that carries %s which its flags do not announce is malformed', async (_what, flags) => {
    const raw = new RawClient(gateway.port, version)
    const rest = [...p5, ...text('x'), ...(flags & 0x80 ? text('name') : []), ...text('more')]
    raw.write(connectBytes({ level: version, flags, rest }))
    if (version === 5) expect((await raw.next('connack')).reasonCode).toBe(0x81)
    await raw.closed()
    expect(raw.packets).toEqual([])
  })

  it('may name any identifier of 1 to 23 letters and digits', async () => {
    const client = gateway.tables.addClient()
    const alphabet = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'
    for (const clientId of ['a', alphabet.slice(0, 23), alphabet.slice(23, 46), alphabet.slice(46)]) {
      const raw = await open(version, client, { clientId })
      expect(codeOf(raw.connack ?? {}), clientId).toBe(0)
    }
  })

  it('is answered by one CONNACK, before anything else, whatever waits and whatever follows at once', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const first = await open(version, member, { clientId: 'first', clean: false, ...keep })
    await first.subscribe(topicOf(channel))
    first.end()
    const publisher = await open(version, member, { clientId: 'publisher' })
    await publisher.publish(topicOf(channel), { payload: 'waited' })
    const again = new RawClient(gateway.port, version)
    again.send(connectPacket(version, member, { clientId: 'first', clean: false, ...keep }), {
      cmd: 'pingreq',
    })
    await again.next('publish')
    await again.next('pingresp')
    expect(again.bytes.subarray(0, 3)).toEqual(Buffer.from([0x20, again.bytes[1] ?? 0, 0x01]))
    expect(again.packets.map(({ cmd }) => cmd)).toEqual(['connack'])
    again.end()
  })

  it('that asks for a new session gets one: nothing of the old is left', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const first = await open(version, member, { clientId: 'renewed', clean: false, ...keep })
    await first.subscribe(topicOf(channel))
    first.end()
    await first.closed()
    const publisher = await open(version, member, { clientId: 'publisher' })
    await publisher.publish(topicOf(channel), { payload: 'old' })
    const second = await open(version, member, { clientId: 'renewed', clean: true, ...keep })
    expect(second.bytes[2]).toBe(0)
    await second.subscribe(topicOf(channel, 'marker'))
    await publisher.publish(topicOf(channel))
    await publisher.publish(topicOf(channel, 'marker'), { payload: 'marker' })
    expect((await second.message()).text).toBe('marker')
  })

  it('without a session to resume makes a new one, with one resumes it, and says which', async () => {
    const member = gateway.tables.addClient()
    const options = { clientId: 'resumed', clean: false, ...keep } as const
    const first = await open(version, member, options)
    expect(first.bytes[2]).toBe(0)
    first.end()
    const second = await open(version, member, options)
    expect(second.bytes[2]).toBe(1)
  })

  it('that is refused says no session is present, though there is one, and is closed', async () => {
    const client = gateway.tables.addClient()
    const options = { clientId: 'kept', clean: false, ...keep } as const
    const first = await open(version, client, options)
    first.end()
    await first.closed()
    const raw = new RawClient(gateway.port, version)
    await raw.connect({ ...client, secret: 'wrong' }, options)
    expect(raw.bytes.subarray(2, 4)).toEqual(Buffer.from([0, version === 5 ? 0x86 : 4]))
    await raw.closed()
    const again = await open(version, client, options)
    expect(again.connack?.sessionPresent).toBe(true)
  })

  it('identifies the session by client identifier alone: another identifier is another session', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const one = await open(version, member, { clientId: 'one', clean: false, ...keep })
    const other = await open(version, member, { clientId: 'One', clean: false, ...keep })
    expect(other.connack?.sessionPresent).toBe(false)
    await one.ping()
  })

  it('that waits while the gateway stops is told in CONNACK and not by DISCONNECT', async () => {
    const other = await startMqttGateway(testBus.bus)
    other.tables.gate = () => new Promise(() => undefined)
    const raw = new RawClient(other.port, version)
    raw.send(connectPacket(version, other.tables.addClient()))
    await eventually(() => expect(other.tables.asked).toBe(1))
    await other.stop()
    expect(codeOf(await raw.next('connack'))).toBe(version === 5 ? 0x88 : 3)
    await raw.closed()
    expect(raw.packets).toEqual([])
  })
})

describe('CONNECT of MQTT 5', () => {
  it('without an identifier gets one that nobody else has', async () => {
    const client = gateway.tables.addClient()
    const assigned = new Set<unknown>()
    for (let index = 0; index < 3; index += 1) {
      const raw = await open(5, client, { clientId: '' })
      assigned.add(raw.connack?.properties?.assignedClientIdentifier)
    }
    expect(assigned.size).toBe(3)
    expect(assigned).not.toContain(undefined)
  })

  it('with an authentication method is refused with 0x8C, and nothing behind it is looked at', async () => {
    const client = gateway.tables.addClient()
    const raw = new RawClient(gateway.port, 5)
    const rest = [5, 0x15, ...text('ab'), ...text('x'), ...text(client.id), ...text(client.secret)]
    raw.write([
      ...connectBytes({ level: 5, rest }),
      ...packet(0xf0, 0x18, 0),
      ...encode(5, { cmd: 'pingreq' }),
    ])
    expect((await raw.next('connack')).reasonCode).toBe(0x8c)
    await raw.closed()
    expect(raw.packets).toEqual([])
  })

  it('is answered without what it did not ask for: no method, no response information, no reference, no limit that is none', async () => {
    for (const properties of [
      {},
      { requestResponseInformation: false },
      { requestProblemInformation: false },
    ]) {
      const raw = await open(5, gateway.tables.addClient(), { properties })
      expect(Object.keys(raw.connack?.properties ?? {}).sort()).toEqual([
        'maximumPacketSize',
        'receiveMaximum',
        'sharedSubscriptionAvailable',
        'topicAliasMaximum',
      ])
    }
  })

  it('may ask for wills and subscriptions of every QoS, and for retained wills', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    for (const qos of [0, 1, 2] as const) {
      const will = { topic: topicOf(channel), payload: 'x', qos, retain: true }
      const raw = await open(5, member, { will })
      expect(raw.connack?.reasonCode).toBe(0)
      expect(await raw.subscribe(topicOf(channel), { qos })).toEqual([qos])
      raw.send({ cmd: 'disconnect' })
    }
  })
})
