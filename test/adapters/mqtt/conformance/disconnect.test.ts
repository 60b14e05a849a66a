import { describe, expect, it } from 'vitest'
import { encode, packet, PUBLISH } from '../../../support/mqtt-packets.ts'
import { addMember, topicOf, useGateway, useRawClients } from '../support.ts'
import type { TestGateway } from '../support.ts'

let gateway: TestGateway
useGateway((started) => {
  gateway = started
})
const open = useRawClients(() => gateway)

describe.each([4, 5] as const)('the end of a connection, protocol level %i,', (version) => {
  it('is at DISCONNECT: what follows is not looked at, and the connection is closed without an answer', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const listener = await open(version, member, { clientId: 'listener' })
    await listener.subscribe(topicOf(channel))
    const raw = await open(version, member, { clientId: 'leaver' })
    raw.write(
      Buffer.concat([
        encode(version, { cmd: 'disconnect' }),
        encode(version, { ...PUBLISH, topic: topicOf(channel), payload: 'late' }),
        encode(version, { cmd: 'pingreq' }),
      ]),
    )
    await raw.closed()
    expect(raw.packets).toEqual([])
    await listener.publish(topicOf(channel), { payload: 'marker' })
    expect((await listener.message()).text).toBe('marker')
  })

  it('is at what breaks the protocol: what follows is not looked at, and nothing comes behind the reason', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const listener = await open(version, member, { clientId: 'listener' })
    await listener.subscribe(topicOf(channel))
    const raw = await open(version, member, { clientId: 'broken' })
    await raw.subscribe(topicOf(channel))
    raw.write([0xf0, 0, ...encode(version, { ...PUBLISH, topic: topicOf(channel), payload: 'late' })])
    await raw.closed()
    if (version === 5) {
      const { reasonCode, properties } = await raw.next('disconnect')
      expect(reasonCode).toBe(0x81)
      // No session expiry, which is the client's to send.
      expect(Object.keys(properties ?? {})).toEqual(['reasonString'])
    }
    expect(raw.packets).toEqual([])
    await listener.publish(topicOf(channel), { payload: 'marker' })
    expect((await listener.message()).text).toBe('marker')
  })

  it('is not at PINGREQ, which is answered', async () => {
    const raw = await open(version, gateway.tables.addClient())
    const before = raw.bytes.length
    raw.write(packet(0xc0))
    await raw.next('pingresp')
    expect([...raw.bytes.subarray(before)]).toEqual([0xd0, 0])
  })

  it('is announced in CONNACK to who is not let in, and by nothing else', async () => {
    const raw = await open(version, gateway.tables.addClient({ isEnabled: false }))
    await raw.closed()
    expect(raw.bytes[0]).toBe(0x20)
    expect(raw.packets).toEqual([])
  })
})

describe('DISCONNECT of MQTT 5 that asks for another session expiry', () => {
  it.each([
    ['CONNECT asked for none', undefined],
    ['CONNECT asked for 0', 0],
  ])('breaks the protocol when %s: it is told, and its will is published', async (_when, asked) => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const listener = await open(5, member, { clientId: 'listener' })
    await listener.subscribe(topicOf(channel))
    const raw = await open(5, member, {
      clientId: 'turncoat',
      properties: asked === undefined ? {} : { sessionExpiryInterval: asked },
      will: { topic: topicOf(channel), payload: Buffer.from('will'), qos: 1, retain: false },
    })
    raw.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 60 } })
    expect((await raw.next('disconnect')).reasonCode).toBe(0x82)
    await raw.closed()
    expect((await listener.message()).text).toBe('will')
    const back = await open(5, member, { clientId: 'turncoat', clean: false })
    expect(back.connack?.sessionPresent).toBe(false)
  })

  it('is done when CONNECT asked for one', async () => {
    const member = gateway.tables.addClient()
    const clientId = 'stayer'
    const raw = await open(5, member, { clientId, properties: { sessionExpiryInterval: 60 } })
    raw.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 120 } })
    await raw.closed()
    expect(raw.packets).toEqual([])
    const back = await open(5, member, { clientId, clean: false })
    expect(back.connack?.sessionPresent).toBe(true)
    back.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 0 } })
    await back.closed()
    const again = await open(5, member, { clientId, clean: false })
    expect(again.connack?.sessionPresent).toBe(false)
  })
})

describe('AUTH of MQTT 5', () => {
  it.each([
    ['with its flags right', packet(0xf0, 0x18, 0)],
    ['with its flags wrong', packet(0xf1, 0x18, 0)],
    ['to authenticate again', packet(0xf0, 0x19, 0)],
  ])('%s ends the connection: no method was agreed on', async (_what, bytes) => {
    const raw = await open(5, gateway.tables.addClient())
    raw.write(bytes)
    expect((await raw.next('disconnect')).reasonCode).toBeGreaterThanOrEqual(0x80)
    await raw.closed()
  })
})
