import { describe, expect, it } from 'vitest'
import type { RawClient } from '../../../support/mqtt-packets.ts'
import { packet } from '../../../support/mqtt-packets.ts'
import { addMember, eventually, topicOf, useGateway, useRawClients } from '../support.ts'
import type { TestGateway } from '../support.ts'

let gateway: TestGateway
useGateway((started) => {
  gateway = started
})
const open = useRawClients(() => gateway)

describe.each([4, 5] as const)('a session, protocol level %i,', (version) => {
  const keep = { clean: false, ...(version === 5 ? { properties: { sessionExpiryInterval: 60 } } : {}) }

  /** A subscriber of everything on a channel of its own, with a session to keep, and somebody who publishes. */
  async function scene(clientId: string) {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const first = await open(version, member, { clientId, ...keep })
    await first.subscribe(topicOf(channel, '#'), { qos: 2 })
    const publisher = await open(version, member, { clientId: 'publisher' })
    return {
      topic: topicOf(channel, 'a'),
      first,
      publisher,
      back: () => open(version, member, { clientId, ...keep }),
    }
  }

  async function leave(raw: RawClient): Promise<void> {
    raw.end()
    await raw.closed()
  }

  it('sends again what was not acknowledged: same identifiers, same order, marked, and then goes on', async () => {
    const { topic, first, publisher, back } = await scene('again')
    for (const payload of ['0', '1', '2']) await publisher.publish(topic, { payload })
    const sent = [await first.message(), await first.message(), await first.message()]
    expect(sent.map(({ dup }) => dup)).toEqual([false, false, false])
    await leave(first)
    await publisher.publish(topic, { payload: '3' })
    const second = await back()
    const again = [await second.message(), await second.message(), await second.message()]
    expect(again.map(({ text, id, dup }) => ({ text, id, dup }))).toEqual(
      sent.map(({ text, id }) => ({ text, id, dup: true })),
    )
    expect(await second.message()).toMatchObject({ text: '3', dup: false })
  })

  it('sends nothing again while the connection stands, and nothing that was acknowledged', async () => {
    const { topic, first, publisher, back } = await scene('once')
    await publisher.publish(topic, { payload: '0' })
    const message = await first.message()
    await publisher.publish(topic, { payload: '1' })
    expect((await first.message()).text).toBe('1')
    first.send({ cmd: 'puback', messageId: message.id })
    await first.ping()
    expect(first.packets).toEqual([])
    await leave(first)
    const second = await back()
    expect((await second.message()).text).toBe('1')
  })

  it('repeats PUBREL and never the message once PUBREC has come, until PUBCOMP', async () => {
    const { topic, first, publisher, back } = await scene('released')
    publisher.send({ cmd: 'publish', topic, payload: 'x', qos: 2, messageId: 5, dup: false, retain: false })
    const { id } = await first.message()
    first.send({ cmd: 'pubrec', messageId: id })
    expect((await first.next('pubrel')).messageId).toBe(id)
    await leave(first)
    const second = await back()
    expect((await second.next('pubrel')).messageId).toBe(id)
    await leave(second)
    const third = await back()
    expect((await third.next('pubrel')).messageId).toBe(id)
    third.send({ cmd: 'pubcomp', messageId: id })
    await third.ping()
    await leave(third)
    const fourth = await back()
    await publisher.publish(topic, { payload: 'next' })
    expect((await fourth.message()).text).toBe('next')
    expect(fourth.packets).toEqual([])
  })

  it('keeps what comes while its client is away, by QoS 1 and 2, and retained messages outlive it', async () => {
    const { topic, first, publisher, back } = await scene('away')
    await leave(first)
    await publisher.publish(topic, { payload: 'one', retain: true })
    publisher.send({ cmd: 'publish', topic, payload: 'two', qos: 2, messageId: 2, dup: false, retain: false })
    await publisher.next('pubrec')
    const second = await back()
    expect([await second.message(), await second.message()].map(({ text, qos }) => [text, qos])).toEqual([
      ['one', 1],
      ['two', 2],
    ])
    await leave(second)
    await publisher.subscribe(topic)
    expect(await publisher.message()).toMatchObject({ text: 'one', retain: true })
  })

  it('loses nothing of what waited when its client subscribes again at once, as many do', async () => {
    const { topic, first, publisher, back } = await scene('eager')
    await leave(first)
    const payloads = Array.from({ length: 30 }, (_, index) => String(index))
    for (const payload of payloads) await publisher.publish(topic, { payload })
    const second = await back()
    await second.subscribe(topic.replace(/a$/, '#'), { qos: 2 })
    const heard: string[] = []
    while (heard.length < payloads.length) {
      const { text, id } = await second.message()
      heard.push(text)
      second.send({ cmd: 'puback', messageId: id })
    }
    expect(heard).toEqual(payloads)
  })

  it('goes over to the connection that takes it over', async () => {
    const { topic, first, publisher, back } = await scene('moved')
    await publisher.publish(topic, { payload: 'x' })
    const { id } = await first.message()
    const second = await back()
    await first.closed()
    expect(second.connack?.sessionPresent).toBe(true)
    expect(await second.message()).toMatchObject({ id, dup: true, text: 'x' })
  })
})

describe('a session of MQTT 5', () => {
  const visit = async (clientId: string, expiryS: number, member: Parameters<typeof open>[1]) =>
    open(5, member, { clientId, clean: false, properties: { sessionExpiryInterval: expiryS } })

  it('ends when its expiry has passed, and never while the connection stands', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const staying = await visit('staying', 1, member)
    await staying.subscribe(topicOf(channel))
    const leaving = await visit('leaving', 1, member)
    leaving.end()
    await leaving.closed()
    // Each look opens the session again, so they come further and further apart.
    let apartMs = 1_000
    await eventually(async () => {
      await new Promise((resolve) => setTimeout(resolve, (apartMs += 500)))
      const again = await visit('leaving', 1, member)
      again.end()
      await again.closed()
      expect(again.connack?.sessionPresent).toBe(false)
    })
    await staying.publish(topicOf(channel), { payload: 'still' })
    expect((await staying.message()).text).toBe('still')
  })

  it('may be given another expiry by DISCONNECT', async () => {
    const member = gateway.tables.addClient()
    const first = await visit('leaving', 60, member)
    first.write(packet(0xe0, 0, 5, 0x11, 0, 0, 0, 0))
    await first.closed()
    await eventually(async () => {
      const again = await visit('leaving', 0, member)
      again.end()
      expect(again.connack?.sessionPresent).toBe(false)
    })
  })

  it.each([
    ['PUBACK', 1, packet(0x40, 0, 0, 0x80)],
    ['PUBREC', 2, packet(0x50, 0, 0, 0x97)],
  ] as const)('does not send again what %s refused (QoS %i)', async (_what, qos, refusal) => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const first = await visit('refuser', 60, member)
    await first.subscribe(topicOf(channel), { qos: 2 })
    first.send({
      cmd: 'publish',
      topic: topicOf(channel),
      payload: 'no',
      qos,
      messageId: 9,
      dup: false,
      retain: false,
    })
    const { id } = await first.message()
    first.write(refusal.map((byte, index) => (index === 2 ? id >> 8 : index === 3 ? id & 0xff : byte)))
    await first.ping()
    first.end()
    await first.closed()
    const second = await visit('refuser', 60, member)
    await second.publish(topicOf(channel), { payload: 'next', messageId: 10 })
    expect((await second.message()).text).toBe('next')
    expect(second.packets).toEqual([])
  })
})
