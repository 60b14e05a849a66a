import { describe, expect, it } from 'vitest'
import { packet, PUBLISH, text } from '../../../support/mqtt-packets.ts'
import { addMember, eventually, LIMITS, topicOf, useGateway, useRawClients } from '../support.ts'
import type { TestGateway } from '../support.ts'

let gateway: TestGateway
useGateway((started) => {
  gateway = started
})
const open = useRawClients(() => gateway)

describe.each([4, 5] as const)('PUBLISH, protocol level %i,', (version) => {
  /** A client that hears, with QoS 2, what it publishes itself. */
  async function scene() {
    const channel = gateway.tables.addChannel()
    const raw = await open(version, addMember(gateway.tables, channel))
    await raw.subscribe(topicOf(channel, '#'), { qos: 2 })
    const topic = topicOf(channel, 'a')
    const publish = { ...PUBLISH, topic } as const
    return { raw, topic, publish, channel }
  }

  it('of QoS 0 is delivered with no identifier and no DUP, its bytes behind the topic at once', async () => {
    const { raw, topic, publish } = await scene()
    const before = raw.bytes.length
    raw.send({ ...publish, qos: 0, payload: 'zero' })
    await raw.message()
    const noProperties = version === 5 ? [0] : []
    const expected = packet(0x30, ...text(topic), ...noProperties, ...Buffer.from('zero'))
    expect(raw.bytes.subarray(before)).toEqual(Buffer.from(expected))
  })

  it.each([1, 2] as const)(
    'of QoS %i with DUP is delivered without: that flag is between two',
    async (qos) => {
      const { raw, publish } = await scene()
      raw.send({ ...publish, qos, dup: true })
      expect(await raw.message()).toMatchObject({ qos, dup: false })
    },
  )

  it('is delivered under identifiers that are not 0 and not in use', async () => {
    const { raw, publish } = await scene()
    const inUse = new Set<number>()
    for (let round = 0; round < 5; round += 1) {
      while (inUse.size < LIMITS.maxInflight) {
        raw.send({ ...publish, messageId: 100 + round })
        const { id } = await raw.message()
        expect(id).not.toBe(0)
        expect(inUse).not.toContain(id)
        inUse.add(id)
      }
      // Some are acknowledged, not in the order sent: those are free again.
      for (const id of [...inUse].filter((_, index) => index % 3 === 0).reverse()) {
        raw.send({ cmd: 'puback', messageId: id })
        inUse.delete(id)
      }
    }
  })

  it.each([
    [1, 'puback'],
    [2, 'pubrec'],
  ] as const)('of QoS %i is answered by %s with its identifier', async (qos, answer) => {
    const { raw, publish } = await scene()
    raw.send({ ...publish, qos, messageId: 0xfffe })
    expect((await raw.next(answer)).messageId).toBe(0xfffe)
  })

  it('of QoS 1 that was acknowledged means a new message under the same identifier, DUP or not', async () => {
    const { raw, topic } = await scene()
    for (const dup of [false, true]) {
      await raw.publish(topic, { messageId: 8, dup, payload: String(dup) })
      expect((await raw.message()).text).toBe(String(dup))
    }
  })

  it('of QoS 2 is delivered once until PUBREL, and anew behind PUBCOMP', async () => {
    const { raw, publish, topic } = await scene()
    const twice = { ...publish, qos: 2, messageId: 0x0102 } as const
    raw.send({ ...twice, payload: 'one' }, { ...twice, payload: 'one', dup: true })
    expect((await raw.next('pubrec')).messageId).toBe(0x0102)
    expect((await raw.next('pubrec')).messageId).toBe(0x0102)
    raw.send({ cmd: 'pubrel', messageId: 0x0102 })
    expect((await raw.next('pubcomp')).messageId).toBe(0x0102)
    raw.send({ ...twice, payload: 'two' })
    expect((await raw.next('pubrec')).messageId).toBe(0x0102)
    await raw.publish(topic, { payload: 'end' })
    expect([(await raw.message()).text, (await raw.message()).text, (await raw.message()).text]).toEqual([
      'one',
      'two',
      'end',
    ])
  })

  it('of QoS 2 is delivered by PUBLISH, PUBREC, PUBREL, PUBCOMP under one identifier', async () => {
    const { raw, publish } = await scene()
    raw.send({ ...publish, qos: 2, messageId: 3 })
    const { id } = await raw.message()
    raw.send({ cmd: 'pubrec', messageId: id })
    expect((await raw.next('pubrel')).messageId).toBe(id)
    raw.send({ cmd: 'pubcomp', messageId: id }, { cmd: 'pubrec', messageId: id })
    // Not known any more: answered all the same, so that the client can finish.
    expect((await raw.next('pubrel')).messageId).toBe(id)
  })

  it('is delivered with the lower of its QoS and the one that was granted', async () => {
    const { raw, channel, publish } = await scene()
    for (const granted of [0, 1, 2] as const) {
      await raw.subscribe(topicOf(channel, '#'), { qos: granted })
      for (const qos of [0, 1, 2] as const) {
        raw.send({ ...publish, qos, messageId: 20 + granted * 3 + qos })
        expect((await raw.message()).qos).toBe(Math.min(qos, granted))
      }
    }
  })

  it('comes in the order of publishing, for each topic and QoS', async () => {
    const { raw, publish } = await scene()
    const sent = Array.from({ length: LIMITS.maxInflight }, (_, index) => index)
    for (const qos of [0, 1, 2] as const) {
      raw.send(...sent.map((index) => ({ ...publish, qos, messageId: 30 + index, payload: String(index) })))
      for (const index of sent) {
        const message = await raw.message()
        expect([message.text, message.qos]).toEqual([String(index), qos])
        if (message.qos === 1) raw.send({ cmd: 'puback', messageId: message.id })
        if (message.qos !== 2) continue
        raw.send({ cmd: 'pubrec', messageId: message.id })
        await raw.next('pubrel')
        raw.send({ cmd: 'pubcomp', messageId: message.id })
      }
    }
  })

  it('on a topic that begins with $ reaches nobody who did not ask for it by name', async () => {
    const { raw, channel } = await scene()
    expect(await raw.subscribe(['#', '+/#'])).toEqual(version === 5 ? [0x8f, 0x8f] : [0x80, 0x80])
    // Behind a channel it is a level like any other.
    await raw.publish(topicOf(channel, '$a'), { payload: 'x' })
    expect((await raw.message()).topic).toBe(topicOf(channel, '$a'))
  })
})

describe('QoS 2 of MQTT 5', () => {
  it('is gone through to its end, though the message has expired before it was ours', async () => {
    const channel = gateway.tables.addChannel()
    const raw = await open(5, addMember(gateway.tables, channel))
    const properties = { messageExpiryInterval: 0 }
    raw.send({ ...PUBLISH, topic: topicOf(channel), qos: 2, messageId: 4, properties })
    expect(await raw.next('pubrec')).toMatchObject({ messageId: 4, reasonCode: 0 })
    raw.send({ cmd: 'pubrel', messageId: 4 })
    expect(await raw.next('pubcomp')).toMatchObject({ messageId: 4, reasonCode: 0 })
  })

  it('is sent again, though the message has expired since it was sent', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const options = { clean: false, properties: { sessionExpiryInterval: 60 } }
    const first = await open(5, member, options)
    await first.subscribe(topicOf(channel), { qos: 2 })
    const properties = { messageExpiryInterval: 1 }
    first.send({ ...PUBLISH, topic: topicOf(channel), qos: 2, messageId: 4, properties })
    const { id } = await first.message()
    const sentAt = Date.now()
    first.end()
    await first.closed()
    await eventually(() => expect(Date.now()).toBeGreaterThan(sentAt + 1_000))
    const second = await open(5, member, options)
    expect(await second.message()).toMatchObject({ id, qos: 2, dup: true, text: 'x' })
  })
})

describe('a topic alias of MQTT 5', () => {
  it('may be any up to the maximum, and stands for the last topic it was given', async () => {
    const channel = gateway.tables.addChannel()
    const raw = await open(5, addMember(gateway.tables, channel))
    await raw.subscribe(topicOf(channel, '#'))
    const maximum = raw.connack?.properties?.topicAliasMaximum ?? 0
    for (let topicAlias = 1; topicAlias <= maximum; topicAlias += 1) {
      const properties = { topicAlias }
      await raw.publish(topicOf(channel, 'before'), { qos: 1, properties })
      await raw.publish(topicOf(channel, String(topicAlias)), { properties })
      await raw.publish('', { properties })
      const topics = [(await raw.message()).topic, (await raw.message()).topic, (await raw.message()).topic]
      expect(topics).toEqual(
        ['before', String(topicAlias), String(topicAlias)].map((level) => topicOf(channel, level)),
      )
      for (let id = topicAlias * 3 - 2; id <= topicAlias * 3; id += 1)
        raw.send({ cmd: 'puback', messageId: id })
    }
  })

  it('above the maximum ends the connection with 0x94', async () => {
    const channel = gateway.tables.addChannel()
    const raw = await open(5, addMember(gateway.tables, channel))
    const topicAlias = (raw.connack?.properties?.topicAliasMaximum ?? 0) + 1
    raw.send({ ...PUBLISH, topic: topicOf(channel), properties: { topicAlias } })
    expect((await raw.next('disconnect')).reasonCode).toBe(0x94)
    await raw.closed()
  })

  it('means nothing on the next connection, the session kept or not', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const options = { clean: false, properties: { sessionExpiryInterval: 60 } }
    const first = await open(5, member, options)
    await first.publish(topicOf(channel), { properties: { topicAlias: 1 } })
    first.end()
    await first.closed()
    const second = await open(5, member, options)
    expect(second.connack?.sessionPresent).toBe(true)
    second.send({ ...PUBLISH, topic: '', properties: { topicAlias: 1 } })
    expect((await second.next('disconnect')).reasonCode).toBe(0x94)
    await second.closed()
  })

  it('is not used towards a client that did not ask for any', async () => {
    const channel = gateway.tables.addChannel()
    const raw = await open(5, addMember(gateway.tables, channel))
    await raw.subscribe(topicOf(channel))
    for (let times = 0; times < 3; times += 1) {
      await raw.publish(topicOf(channel))
      const { topic, properties } = await raw.message()
      expect(topic).toBe(topicOf(channel))
      expect(properties?.topicAlias).toBeUndefined()
    }
  })
})
