import { describe, expect, it } from 'vitest'
import { addMember, topicOf, useGateway, useRawClients } from '../support.ts'
import type { TestGateway } from '../support.ts'

let gateway: TestGateway
useGateway((started) => {
  gateway = started
})
const open = useRawClients(() => gateway)

describe.each([4, 5] as const)('a retained message, protocol level %i,', (version) => {
  async function scene() {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const publisher = await open(version, member, { clientId: 'publisher' })
    return {
      topic: topicOf(channel, 'a'),
      publisher,
      /** What somebody who subscribes now is sent at once. */
      retained: async (): Promise<string[]> => {
        const late = await open(version, member, { clientId: 'late' })
        await late.subscribe([topicOf(channel, 'a'), topicOf(channel, 'marker')], { qos: 2 })
        await publisher.publish(topicOf(channel, 'marker'), { payload: 'marker' })
        const found: string[] = []
        for (;;) {
          const { text, retain, qos } = await late.message()
          if (text === 'marker') return found
          expect(retain).toBe(true)
          found.push(`${text} ${qos}`)
        }
      },
    }
  }

  it('is the last of its topic, with its own QoS', async () => {
    const { topic, publisher, retained } = await scene()
    await publisher.publish(topic, { payload: 'first', retain: true })
    expect(await retained()).toEqual(['first 1'])
    publisher.send({
      cmd: 'publish',
      topic,
      payload: 'second',
      qos: 2,
      messageId: 7,
      dup: false,
      retain: true,
    })
    await publisher.next('pubrec')
    expect(await retained()).toEqual(['second 2'])
  })

  it('of QoS 0 takes the place of the one before', async () => {
    const { topic, publisher, retained } = await scene()
    await publisher.publish(topic, { payload: 'first', retain: true })
    publisher.send({ cmd: 'publish', topic, payload: 'second', qos: 0, dup: false, retain: true })
    await publisher.publish(topic, { payload: 'not retained' })
    expect(await retained()).toEqual(['second 0'])
  })

  it('is neither made nor replaced nor removed by a message without the flag', async () => {
    const { topic, publisher, retained } = await scene()
    await publisher.publish(topic, { payload: 'plain' })
    expect(await retained()).toEqual([])
    await publisher.publish(topic, { payload: 'kept', retain: true })
    await publisher.publish(topic, { payload: 'plain' })
    await publisher.publish(topic, { payload: '' })
    expect(await retained()).toEqual(['kept 1'])
  })

  it('is removed by an empty one, which is delivered like any message and not retained itself', async () => {
    const { topic, publisher, retained } = await scene()
    await publisher.publish(topic, { payload: 'kept', retain: true })
    await publisher.subscribe(topic)
    expect((await publisher.message()).text).toBe('kept')
    await publisher.publish(topic, { payload: '', retain: true })
    expect(await publisher.message()).toMatchObject({ text: '', retain: false })
    expect(await retained()).toEqual([])
  })

  it('comes without the flag to those who are subscribed already', async () => {
    const { topic, publisher } = await scene()
    await publisher.subscribe(topic)
    await publisher.publish(topic, { payload: 'now', retain: true })
    expect(await publisher.message()).toMatchObject({ text: 'now', retain: false })
  })

  it('is sent again when the same filter is subscribed again, and nothing is lost meanwhile', async () => {
    const { topic, publisher } = await scene()
    await publisher.publish(topic, { payload: 'kept', retain: true })
    for (let times = 0; times < 2; times += 1) {
      await publisher.subscribe(topic)
      expect(await publisher.message()).toMatchObject({ text: 'kept', retain: true })
    }
    // Subscribed again in the middle of a burst: every message arrives, once.
    const count = 30
    for (let index = 0; index < count; index += 1) {
      publisher.send({ cmd: 'publish', topic, payload: String(index), qos: 0, dup: false, retain: false })
      if (index % 10 === 5)
        publisher.send({ cmd: 'subscribe', messageId: 3, subscriptions: [{ topic, qos: 0 }] })
    }
    const live: string[] = []
    while (live.length < count) {
      const { text, retain } = await publisher.message()
      if (!retain) live.push(text)
    }
    expect(live).toEqual(Array.from({ length: count }, (_, index) => String(index)))
  })
})

describe('Retain Handling of MQTT 5', () => {
  it.each([
    [0, 'always', [true, true]],
    [1, 'for a new subscription alone', [true, false]],
    [2, 'never', [false, false]],
  ] as const)('%i sends retained messages %s', async (rh, _when, expected) => {
    const channel = gateway.tables.addChannel()
    const raw = await open(5, addMember(gateway.tables, channel))
    const topic = topicOf(channel)
    await raw.publish(topic, { payload: 'kept', retain: true })
    for (const isSent of expected) {
      await raw.subscribe(topic, { rh })
      await raw.publish(topic, { payload: 'live' })
      if (isSent) expect(await raw.message()).toMatchObject({ text: 'kept', retain: true })
      expect(await raw.message()).toMatchObject({ text: 'live', retain: false })
    }
  })
})

describe('Retain As Published of MQTT 5', () => {
  it.each([true, false])('(%s) keeps the flag of the publisher, or clears it', async (rap) => {
    const channel = gateway.tables.addChannel()
    const raw = await open(5, addMember(gateway.tables, channel))
    await raw.subscribe(topicOf(channel), { rap })
    await raw.publish(topicOf(channel), { retain: true })
    expect((await raw.message()).retain).toBe(rap)
    await raw.publish(topicOf(channel), { retain: false })
    expect((await raw.message()).retain).toBe(false)
  })
})
