import { describe, expect, it } from 'vitest'
import type { RawClient } from '../../../support/mqtt-packets.ts'
import { packet, text } from '../../../support/mqtt-packets.ts'
import { addMember, topicOf, useGateway, useRawClients } from '../support.ts'
import type { TestGateway } from '../support.ts'

let gateway: TestGateway
useGateway((started) => {
  gateway = started
})
const open = useRawClients(() => gateway)

describe.each([4, 5] as const)('SUBSCRIBE, protocol level %i,', (version) => {
  const p5 = version === 5 ? [0] : []
  const refused = (reason: number): number => (version === 5 ? reason : 0x80)

  async function scene() {
    const channel = gateway.tables.addChannel()
    const properties = version === 5 ? { requestProblemInformation: false } : {}
    const raw = await open(version, addMember(gateway.tables, channel), { properties })
    /** Which of the levels under the channel reach the client, before a marker that it is subscribed to as well. */
    async function heard(...levels: string[]): Promise<string[]> {
      for (const level of levels) await raw.publish(`${topicOf(channel)}${level}`)
      await raw.publish(topicOf(channel, 'marker'))
      const found: string[] = []
      for (;;) {
        const { topic, id, qos } = await raw.message()
        if (qos === 1) raw.send({ cmd: 'puback', messageId: id })
        if (topic === topicOf(channel, 'marker')) return found
        found.push(topic.slice(topicOf(channel).length))
      }
    }
    return { raw, channel, heard }
  }

  it('is answered by SUBACK with its identifier and a code for each filter, in their order', async () => {
    const { raw, channel } = await scene()
    const before = raw.bytes.length
    const filters = [
      [topicOf(channel, 'a'), 2],
      ['elsewhere', 0],
      [topicOf(channel, 'b'), 0],
      [topicOf(gateway.tables.addChannel()), 1],
      [topicOf(channel, 'a'), 1],
    ] as const
    // Without words, which a refusal may carry: the bytes are those of the answer alone.
    raw.write(packet(0x82, 0xab, 0xcd, ...p5, ...filters.flatMap(([filter, qos]) => [...text(filter), qos])))
    await raw.next('suback')
    expect(raw.bytes.subarray(before)).toEqual(
      Buffer.from(packet(0x90, 0xab, 0xcd, ...p5, 2, refused(0x8f), 0, refused(0x87), 1)),
    )
  })

  it('with many filters does what many with one would: the last word on a filter counts', async () => {
    const { raw, channel } = await scene()
    const [a, b] = [topicOf(channel, 'a'), topicOf(channel, 'b')]
    raw.send({
      cmd: 'subscribe',
      messageId: 1,
      subscriptions: [
        { topic: a, qos: 0 },
        { topic: b, qos: 1 },
        { topic: a, qos: 2 },
      ],
    })
    expect((await raw.next('suback')).granted).toEqual([0, 1, 2])
    await raw.publish(a)
    await raw.publish(b)
    expect([await raw.message(), await raw.message()].map(({ topic, qos }) => [topic, qos])).toEqual([
      [a, 1],
      [b, 1],
    ])
  })

  it('for a filter that the session has replaces it: one copy of a message, with the new QoS', async () => {
    const { raw, channel, heard } = await scene()
    await raw.subscribe([topicOf(channel, 'a'), topicOf(channel, 'marker')], { qos: 1 })
    await raw.subscribe(topicOf(channel, 'a'), { qos: 0 })
    await raw.publish(topicOf(channel, 'a'))
    expect((await raw.message()).qos).toBe(0)
    expect(await heard('/a')).toEqual(['/a'])
  })

  it.each([
    ['/+', ['/a', '/'], ['', '/a/b', '/a/']],
    ['/+/b', ['/a/b', '//b'], ['/b', '/a/b/c', '/a/c']],
    ['/a/+', ['/a/b', '/a/'], ['/a', '/a/b/c']],
    ['/#', ['', '/a', '/a/b/c', '/', '//'], []],
    ['/a/#', ['/a', '/a/', '/a/b', '/a/b/c'], ['', '/b', '/A']],
    ['/+/+/#', ['/a/b', '/a/b/c', '//'], ['/a', '']],
    ['', [''], ['/', '/a']],
    ['/', ['/'], ['', '//', '/a']],
  ])('to %s behind a channel matches %j and not %j', async (filter, matching, others) => {
    const { raw, channel, heard } = await scene()
    await raw.subscribe([`${topicOf(channel)}${filter}`, topicOf(channel, 'marker')])
    expect(await heard(...matching, ...others)).toEqual(matching)
  })

  it.each<[string, number]>([
    ['a reserved bit', 0x40],
    ['the other reserved bit', 0x80],
    ['QoS 3', 0x03],
    version === 5 ? ['Retain Handling 3', 0x30] : ['an option of MQTT 5', 0x04],
  ])('with %s in its options is malformed', async (_what, options) => {
    const { raw, channel } = await scene()
    raw.write(packet(0x82, 0, 1, ...p5, ...text(topicOf(channel)), options))
    if (version === 5) expect((await raw.next('disconnect')).reasonCode).toBe(0x81)
    await raw.closed()
    expect(raw.packets).toEqual([])
  })

  describe('and UNSUBSCRIBE', () => {
    const unsubscribe = (raw: RawClient, ...filters: string[]): void =>
      raw.write(packet(0xa2, 0x12, 0x34, ...p5, ...filters.flatMap((filter) => text(filter))))

    it('is answered by one UNSUBACK with its identifier, whether there was anything to take off or not', async () => {
      const { raw, channel } = await scene()
      await raw.subscribe([topicOf(channel, 'a'), topicOf(channel, 'b')])
      const before = raw.bytes.length
      unsubscribe(raw, topicOf(channel, 'a'), topicOf(channel, 'none'), 'elsewhere', topicOf(channel, 'b'))
      await raw.next('unsuback')
      const codes = version === 5 ? [0x00, 0x11, 0x11, 0x00] : []
      expect(raw.bytes.subarray(before)).toEqual(Buffer.from(packet(0xb0, 0x12, 0x34, ...p5, ...codes)))
      expect(raw.packets).toEqual([])
    })

    it('takes off the filter that is the same character by character, and no other that it would match', async () => {
      const { raw, channel, heard } = await scene()
      await raw.subscribe([topicOf(channel, 'a'), topicOf(channel, '+'), topicOf(channel, 'marker')])
      unsubscribe(raw, topicOf(channel, '#'), topicOf(channel, 'A'), topicOf(channel, 'a/'))
      await raw.next('unsuback')
      expect(await heard('/a', '/b')).toEqual(['/a', '/b'])
      unsubscribe(raw, topicOf(channel, '+'))
      await raw.next('unsuback')
      expect(await heard('/a', '/b')).toEqual(['/a'])
    })

    it('finishes what it has begun to deliver, over a new connection too', async () => {
      const channel = gateway.tables.addChannel()
      const member = addMember(gateway.tables, channel)
      const options = {
        clean: false,
        ...(version === 5 ? { properties: { sessionExpiryInterval: 60 } } : {}),
      }
      const raw = await open(version, member, options)
      const publisher = await open(version, member, { clientId: 'publisher' })
      await raw.subscribe(topicOf(channel), { qos: 2 })
      await publisher.publish(topicOf(channel), { payload: 'begun' })
      const { id } = await raw.message()
      unsubscribe(raw, topicOf(channel))
      await raw.next('unsuback')
      await publisher.publish(topicOf(channel), { payload: 'late' })
      raw.end()
      await raw.closed()
      const again = await open(version, member, options)
      expect(await again.message()).toMatchObject({ id, dup: true, text: 'begun' })
      again.send({ cmd: 'puback', messageId: id })
      await again.ping()
      expect(again.packets).toEqual([])
    })
  })
})

describe('an UNSUBACK of MQTT 5 that is larger than the client takes', () => {
  it('is not sent: DISCONNECT 0x95 says why', async () => {
    const raw = await open(5, gateway.tables.addClient(), { properties: { maximumPacketSize: 100 } })
    const filters = Array.from({ length: 100 }, (_, index) => String(index))
    raw.write(packet(0xa2, 0, 1, 0, ...filters.flatMap((filter) => text(filter))))
    expect((await raw.next('disconnect')).reasonCode).toBe(0x95)
    await raw.closed()
    expect(raw.packets).toEqual([])
  })
})
