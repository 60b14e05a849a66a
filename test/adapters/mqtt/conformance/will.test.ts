import { describe, expect, it } from 'vitest'
import { packet, RawClient } from '../../../support/mqtt-packets.ts'
import { addMember, topicOf, useGateway, useRawClients } from '../support.ts'
import type { TestGateway } from '../support.ts'

let gateway: TestGateway
useGateway((started) => {
  gateway = started
})
const open = useRawClients(() => gateway)

describe.each([4, 5] as const)('a will, protocol level %i,', (version) => {
  /** A channel with somebody who listens to it, and ways to make wills and to find out which ones came. */
  async function scene() {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const listener = await open(version, member, { clientId: 'listener' })
    await listener.subscribe(topicOf(channel, '#'), { qos: 2 })
    return {
      channel,
      member,
      listener,
      open: (payload: string, will: { qos?: 0 | 1 | 2; retain?: boolean } = {}, options: object = {}) =>
        open(version, member, {
          clientId: payload,
          will: { topic: topicOf(channel, 'will'), payload, qos: 1, retain: false, ...will },
          ...options,
        }),
      /** The last message, so that what did not come before it does not come at all. */
      mark: async (): Promise<void> => {
        const publisher = await open(version, member, { clientId: 'marker' })
        await publisher.publish(topicOf(channel, 'marker'), { payload: 'marker' })
      },
    }
  }

  it.each([0, 1, 2] as const)(
    'of QoS %i is published with it, once, when the connection breaks',
    async (qos) => {
      const { open: openWith, listener, mark } = await scene()
      const raw = await openWith('gone', { qos })
      raw.end()
      const message = await listener.message()
      expect([message.text, message.qos, message.retain]).toEqual(['gone', qos, false])
      await mark()
      expect((await listener.message()).text).toBe('marker')
    },
  )

  it.each([true, false])('is retained or not as it says (%s)', async (retain) => {
    const { channel, member, open: openWith, listener, mark } = await scene()
    const raw = await openWith('gone', { retain })
    raw.end()
    await listener.message()
    const late = await open(version, member, { clientId: 'late' })
    await late.subscribe(topicOf(channel, '#'))
    if (retain) expect(await late.message()).toMatchObject({ text: 'gone', retain: true })
    await mark()
    expect((await late.message()).text).toBe('marker')
  })

  it('is published when the client breaks the protocol, says nothing for too long, or is taken over', async () => {
    const { open: openWith, listener } = await scene()
    const wrong = await openWith('wrong')
    wrong.write([0xf0, 0])
    expect((await listener.message()).text).toBe('wrong')
    await openWith('silent', {}, { keepalive: 1 })
    expect((await listener.message()).text).toBe('silent')
    await openWith('taken')
    await openWith('taken')
    expect((await listener.message()).text).toBe('taken')
  })

  it('is forgotten with DISCONNECT, also for the connections that follow', async () => {
    const { channel, member, open: openWith, listener, mark } = await scene()
    const polite = await openWith('polite')
    polite.send({ cmd: 'disconnect' })
    await polite.closed()
    const next = await open(version, member, { clientId: 'polite' })
    next.end()
    await next.closed()
    await mark()
    expect((await listener.message()).topic).toBe(topicOf(channel, 'marker'))
  })

  it('of a CONNECT that was refused is never published', async () => {
    const { channel, member, listener, mark } = await scene()
    const will = { topic: topicOf(channel, 'will'), payload: 'refused', qos: 1 as const }
    const refused = new RawClient(gateway.port, version)
    await refused.connect({ ...member, secret: 'wrong' }, { will })
    await refused.closed()
    await mark()
    expect((await listener.message()).text).toBe('marker')
  })
})

describe('a will of MQTT 5', () => {
  it.each([
    [0x04, 'Disconnect with Will Message'],
    [0x80, 'Unspecified error'],
    [0x93, 'Receive Maximum exceeded'],
  ])('is published after DISCONNECT with reason code %i (%s)', async (reason) => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const listener = await open(5, member, { clientId: 'listener' })
    await listener.subscribe(topicOf(channel))
    const will = { topic: topicOf(channel), payload: 'gone', qos: 1 as const }
    const raw = await open(5, member, { clientId: 'leaver', will })
    raw.write(packet(0xe0, reason))
    expect((await listener.message()).text).toBe('gone')
  })

  it('whose delay is longer than the session lasts is published when the session ends', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const listener = await open(5, member, { clientId: 'listener' })
    await listener.subscribe(topicOf(channel))
    const properties = { willDelayInterval: 3_000 }
    const will = { topic: topicOf(channel), payload: 'gone', qos: 1 as const, properties }
    const raw = await open(5, member, { clientId: 'leaver', will, properties: { sessionExpiryInterval: 1 } })
    raw.end()
    expect((await listener.message()).text).toBe('gone')
  })
})
