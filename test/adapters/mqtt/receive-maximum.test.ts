import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Channel, Client } from '../../support/authority.ts'
import { addMember, topicOf, useGateway, useRawClients } from './support.ts'
import type { RawClient, TestGateway } from './support.ts'

let gateway: TestGateway
let channel: Channel
let member: Client
let clientId: string

useGateway((started) => {
  gateway = started
})
const open = useRawClients(() => gateway)

beforeEach(() => {
  channel = gateway.tables.addChannel()
  member = addMember(gateway.tables, channel)
  clientId = randomUUID()
})

function kept(receiveMaximum: number): Promise<RawClient> {
  const properties = { sessionExpiryInterval: 600, receiveMaximum }
  return open(5, member, { clientId, clean: false, properties })
}

/** Takes messages, as many as come without acknowledging any. */
async function takeAll(raw: RawClient): Promise<Awaited<ReturnType<RawClient['message']>>[]> {
  await raw.ping()
  const taken = []
  while (raw.packets.some(({ cmd }) => cmd === 'publish')) taken.push(await raw.message())
  return taken
}

async function publish(texts: readonly string[], qos: 1 | 2): Promise<void> {
  const publisher = await open(4, member, { clientId: randomUUID() })
  for (const payload of texts) {
    if (qos === 1) await publisher.publish(topicOf(channel), { payload })
    else {
      publisher.send({
        cmd: 'publish',
        topic: topicOf(channel),
        payload,
        qos,
        messageId: 1,
        retain: false,
        dup: false,
      })
      await publisher.next('pubrec')
      publisher.send({ cmd: 'pubrel', messageId: 1 })
      await publisher.next('pubcomp')
    }
  }
}

const texts = ['0', '1', '2', '3', '4', '5']

describe('a client that comes back with a smaller Receive Maximum [MQTT-3.3.4-9]', () => {
  it.each([1, 2])(
    'of %i gets no more at once, what it had first, in its order, then what is new',
    async (maximum) => {
      const first = await kept(4)
      await first.subscribe(topicOf(channel))
      await publish(texts, 1)
      const before = []
      while (before.length < 4) before.push(await first.message())
      first.end()
      const second = await kept(maximum)
      const taken: { text: string; dup: boolean; id: number }[] = []
      let unacknowledged: number[] = []
      while (taken.length < texts.length) {
        const { text, dup, id } = await second.message()
        taken.push({ text, dup, id })
        unacknowledged.push(id)
        for (const more of await takeAll(second)) {
          taken.push(more)
          unacknowledged.push(more.id)
        }
        expect(unacknowledged.length).toBeLessThanOrEqual(maximum)
        for (const messageId of unacknowledged) second.send({ cmd: 'puback', messageId })
        unacknowledged = []
      }
      expect(taken.map(({ text }) => text)).toEqual(texts)
      expect(taken.filter(({ dup }) => dup).map(({ id }) => id)).toEqual(before.map(({ id }) => id))
    },
  )

  it('gets PUBREL for all it has answered at once, beside what it has not', async () => {
    const first = await kept(6)
    await first.subscribe(topicOf(channel), { qos: 2 })
    await publish(texts, 2)
    const before = []
    while (before.length < texts.length) before.push(await first.message())
    for (const { id } of before.slice(0, 3)) {
      first.send({ cmd: 'pubrec', messageId: id })
      await first.next('pubrel')
    }
    first.end()
    const second = await kept(1)
    const released = []
    while (released.length < 3) released.push((await second.next('pubrel')).messageId)
    expect(released).toEqual(before.slice(0, 3).map(({ id }) => id))
    const taken: string[] = []
    for (const { id } of before.slice(3)) {
      const message = await second.message()
      expect(message).toMatchObject({ dup: true, id })
      expect(await takeAll(second)).toEqual([])
      taken.push(message.text)
      second.send({ cmd: 'pubrec', messageId: id })
      await second.next('pubrel')
      // In use until the end of the exchange.
      expect(await takeAll(second)).toEqual([])
      second.send({ cmd: 'pubcomp', messageId: id })
    }
    expect(taken).toEqual(texts.slice(3))
    for (const messageId of released) second.send({ cmd: 'pubcomp', messageId })
    await publish(['new'], 2)
    expect((await second.message()).text).toBe('new')
  })
})
