import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Channel, Client } from '../../support/authority.ts'
import { addMember, PUBLISH, topicOf, useGateway, useRawClients } from './support.ts'
import type { RawClient, TestGateway } from './support.ts'

const KIB = 1024
/** More than waits for one client in memory, in number and in bytes. */
const COUNT = 1_200

let gateway: TestGateway
let channel: Channel
let member: Client

useGateway((started) => {
  gateway = started
})
const open = useRawClients(() => gateway)

beforeEach(() => {
  channel = gateway.tables.addChannel()
  member = addMember(gateway.tables, channel)
})

const levels = (count = COUNT): string[] => Array.from({ length: count }, (_, index) => String(index))
const levelOf = (topic: string): string => topic.slice(topic.lastIndexOf('/') + 1)

/** Retains a message on each level. */
async function retain(
  names: readonly string[],
  { qos, sizeBytes = KIB }: { qos: 0 | 1; sizeBytes?: number },
): Promise<void> {
  const publisher = await open(4, member, { clientId: randomUUID() })
  for (const name of names) {
    const topic = topicOf(channel, name)
    const payload = name.padStart(sizeBytes)
    publisher.send({ cmd: 'publish', topic, payload, qos, messageId: 1, retain: true, dup: false })
    if (qos > 0) await publisher.next('puback')
  }
  // Behind those of QoS 0, which nobody acknowledges.
  await publisher.publish(topicOf(channel, 'last'), { payload: '', retain: true })
}

function acknowledge(raw: RawClient, { id, qos }: { id: number; qos: number }): void {
  if (qos > 0) raw.send({ cmd: 'puback', messageId: id })
}

/** Takes so many messages, and acknowledges them. @returns their last levels */
async function take(raw: RawClient, count: number): Promise<string[]> {
  const taken: string[] = []
  while (taken.length < count) {
    const message = await raw.message()
    expect(message.retain).toBe(true)
    taken.push(levelOf(message.topic))
    acknowledge(raw, message)
  }
  return taken
}

describe('more retained messages than a client can be sent at once', () => {
  it.each([
    ['published with QoS 1, subscribed to with QoS 0', 1, 0],
    ['published with QoS 0, subscribed to with QoS 1', 0, 1],
    ['published and subscribed to with QoS 1', 1, 1],
  ] as const)('%s, all arrive, in their order', async (_what, published, subscribed) => {
    await retain(levels(), { qos: published })
    for (const clean of [true, false]) {
      const raw = await open(4, member, { clientId: randomUUID(), clean })
      await raw.subscribe(topicOf(channel, '#'), { qos: subscribed })
      expect(await take(raw, COUNT)).toEqual(levels())
      await raw.ping()
      expect(raw.packets).toEqual([])
    }
  })

  it('of more bytes than may ever wait for a session, all arrive', async () => {
    const names = levels(300)
    await retain(names, { qos: 1, sizeBytes: 60 * KIB })
    for (const clean of [true, false]) {
      const raw = await open(4, member, { clientId: randomUUID(), clean })
      await raw.subscribe(topicOf(channel, '#'))
      expect(await take(raw, names.length)).toEqual(names)
    }
  })

  it.each([
    ['a session that ends with its connection', true, 1],
    ['one that ends with its connection, also when the newer one has QoS 0', true, 0],
    ['a session that is kept', false, 1],
  ] as const)('never come behind a newer message of their topic, to %s', async (_what, clean, qos) => {
    await retain(levels(), { qos: 1 })
    const raw = await open(4, member, { clientId: randomUUID(), clean })
    await raw.subscribe(topicOf(channel, '#'))
    const publisher = await open(4, member, { clientId: randomUUID() })
    await publisher.subscribe(topicOf(channel, '1199'), { qos: 1 })
    await publisher.message()
    const newer = { ...PUBLISH, topic: topicOf(channel, '1199'), payload: 'new', qos }
    publisher.send(newer)
    // In the same process, so the other one has been given it too.
    expect((await publisher.message()).text).toBe('new')
    const texts = new Map<string, string[]>()
    for (let count = 0; count <= COUNT; count += 1) {
      const message = await raw.message()
      const level = levelOf(message.topic)
      texts.set(level, [...(texts.get(level) ?? []), message.text.trim()])
      acknowledge(raw, message)
    }
    expect(texts.size).toBe(COUNT)
    expect(texts.get('1199')).toEqual(['1199', 'new'])
  })

  it('end with UNSUBSCRIBE, but for those on their way', async () => {
    await retain(levels(), { qos: 1 })
    const raw = await open(4, member, { clientId: randomUUID() })
    await raw.subscribe(topicOf(channel, '#'))
    raw.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: [topicOf(channel, '#')] })
    await raw.next('unsuback')
    let count = 0
    for (;;) {
      await raw.ping()
      if (raw.packets.length === 0) break
      count += (await take(raw, raw.packets.length)).length
    }
    expect(count).toBeGreaterThan(0)
    expect(count).toBeLessThan(COUNT / 2)
  })

  it('go on in the next connection of a session that is kept', async () => {
    await retain(levels(), { qos: 1 })
    const clientId = randomUUID()
    const first = await open(4, member, { clientId, clean: false })
    await first.subscribe(topicOf(channel, '#'))
    const taken = await take(first, 400)
    await first.ping()
    first.send({ cmd: 'disconnect' })
    await first.closed()
    const second = await open(4, member, { clientId, clean: false })
    const rest = await take(second, COUNT - taken.length)
    expect([...taken, ...rest]).toEqual(levels())
    await second.ping()
    expect(second.packets).toEqual([])
  })
})
