import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { LIMITS, PUBLISH } from '../support.ts'
import type { RawClient } from '../support.ts'
import { acknowledge, cut, leave, textsOf, useTwoNodes } from './support.ts'
import type { Heard } from './support.ts'

const nodes = useTwoNodes()
const { keep, open, publish, rest, topic } = nodes

let clientId: string
beforeEach(() => {
  clientId = randomUUID()
})

/** A session with a subscription, its client connected to the first node. */
async function subscribed(id = clientId, node: Parameters<typeof keep>[0] = 'a'): Promise<RawClient> {
  const raw = await keep(node, id)
  await raw.subscribe(topic('hello'), { qos: 2 })
  return raw
}

/** The next messages, not acknowledged. */
async function take(raw: RawClient, count: number): Promise<Heard[]> {
  const taken: Heard[] = []
  while (taken.length < count) taken.push(await raw.message())
  return taken
}

/** How the messages are to come when they come again. */
const again = (sent: readonly Heard[]) => sent.map(({ text, id, qos }) => ({ text, id, qos, dup: true }))

describe('aedes-persistence: messages on their way to a client', () => {
  it('add outgoing packet and stream it', async () => {
    await leave(await subscribed())
    await publish('a', 'hello', 'world')
    expect(await rest(await keep('b', clientId))).toMatchObject([
      { topic: topic('hello'), text: 'world', qos: 1, retain: false, dup: false },
    ])
  })

  it('add outgoing packet for multiple subs and stream to all', async () => {
    const clientIds = [clientId, randomUUID()]
    for (const id of clientIds) await leave(await subscribed(id))
    await publish('a', 'hello', 'world')
    for (const id of clientIds) expect(textsOf(await rest(await keep('b', id)))).toEqual(['world'])
  })

  it('add outgoing packet as a string and pump', async () => {
    const first = await subscribed()
    await publish('a', 'hello', 'world')
    await publish('a', 'hello', 'matteo')
    const sent = await take(first, 2)
    await cut(first)
    const second = await keep('b', clientId)
    expect(await rest(second)).toMatchObject(again(sent))
    await leave(second)
    expect(await rest(await keep('a', clientId))).toEqual([])
  })

  // A string is a payload that says of itself that it is text.
  it('add outgoing packet as a string and stream', async () => {
    await leave(await subscribed())
    const text = 'wörld \u{1f30d}'
    await publish('a', 'hello', text, { properties: { payloadFormatIndicator: true } })
    expect(await rest(await keep('b', clientId))).toMatchObject([
      { text, properties: { payloadFormatIndicator: true } },
    ])
  })

  it('add outgoing packet and stream it twice', async () => {
    const first = await subscribed()
    await leave(first)
    await publish('a', 'hello', 'world')
    const second = await keep('b', clientId)
    const sent = await take(second, 1)
    await cut(second)
    const third = await keep('a', clientId)
    expect(await take(third, 1)).toMatchObject(again(sent))
    await cut(third)
    expect(await rest(await keep('b', clientId))).toMatchObject(again(sent))
  })

  it('add outgoing packet and update messageId', async () => {
    // Identifiers that begin behind 1, so that the same one again is no chance.
    const first = await subscribed()
    for (const payload of ['0', '1']) await publish('a', 'hello', payload)
    for (const message of await take(first, 2)) await acknowledge(first, message)
    await publish('a', 'hello', 'world')
    const sent = await take(first, 1)
    expect(sent[0]?.id).toBeGreaterThan(1)
    await cut(first)
    expect(await rest(await keep('b', clientId))).toMatchObject(again(sent))
  })

  it('add 2 outgoing packet and clear messageId', async () => {
    const first = await subscribed()
    await publish('a', 'hello', 'world')
    await publish('a', 'hello', 'matteo')
    const [world, matteo] = await take(first, 2)
    if (!world || !matteo) throw new Error('two messages were taken')
    await acknowledge(first, world)
    await leave(first)
    expect(await rest(await keep('b', clientId))).toMatchObject(again([matteo]))
  })

  it('add many outgoing packets and clear messageIds', async () => {
    const payloads = Array.from({ length: 2 * LIMITS.maxInflight }, (_, index) => String(index))
    const first = await subscribed()
    for (const payload of payloads) await publish('a', 'hello', payload)
    const sent = await take(first, LIMITS.maxInflight)
    await cut(first)
    const second = await keep('b', clientId)
    const heard = await rest(second)
    expect(textsOf(heard)).toEqual(payloads)
    expect(heard.slice(0, sent.length)).toMatchObject(again(sent))
    await leave(second)
    expect(await rest(await keep('a', clientId))).toEqual([])
  })

  // Two messages of one publisher that have its identifier in common, one after the other, are two, and stay so.
  it('update to publish w/ same messageId', async () => {
    const first = await subscribed()
    for (let count = 0; count < 2; count += 1) {
      await publish('a', 'hello', 'world', { qos: 2, messageId: 42 })
    }
    const sent = await take(first, 2)
    expect(new Set(sent.map(({ id }) => id)).size).toBe(2)
    await cut(first)
    const second = await keep('b', clientId)
    const resent = await take(second, 2)
    expect(resent).toMatchObject(again(sent))
    for (const message of resent) await acknowledge(second, message)
    expect(await rest(second)).toEqual([])
  })

  it('update to pubrel', async () => {
    const { doomed, kill } = await nodes.startDoomed()
    const first = await subscribed(clientId, doomed)
    await publish('a', 'hello', 'world', { qos: 2 })
    const { id } = await first.message()
    first.send({ cmd: 'pubrec', messageId: id })
    await first.next('pubrel')
    await kill()
    const second = await keep('b', clientId)
    expect((await second.next('pubrel')).messageId).toBe(id)
    second.send({ cmd: 'pubcomp', messageId: id })
    expect(await rest(second)).toEqual([])
    await leave(second)
    const third = await keep('a', clientId)
    expect(await rest(third)).toEqual([])
    expect(third.packets).toEqual([])
  })

  it('do not error if unkown messageId in outoingClearMessageId', async () => {
    await leave(await subscribed())
    const second = await keep('b', clientId)
    for (const cmd of ['puback', 'pubrec', 'pubcomp'] as const) second.send({ cmd, messageId: 42 })
    // [MQTT-4.3.3-4]
    expect((await second.next('pubrel')).messageId).toBe(42)
    await publish('a', 'hello', 'world')
    expect(textsOf(await rest(second))).toEqual(['world'])
  })
})

describe('aedes-persistence: a message on its way from a client', () => {
  it('add incoming packet, get it, and clear with messageId', async () => {
    const listener = await open('b')
    await listener.subscribe(topic('hello'), { qos: 2 })
    const publication = {
      ...PUBLISH,
      topic: topic('hello'),
      payload: 'world',
      qos: 2,
      messageId: 42,
    } as const
    const { doomed, kill } = await nodes.startDoomed()
    const first = await keep(doomed, clientId)
    first.send(publication)
    await first.next('pubrec')
    await kill()
    const second = await keep('b', clientId)
    second.send({ ...publication, dup: true })
    await second.next('pubrec')
    second.send({ cmd: 'pubrel', messageId: 42 })
    await second.next('pubcomp')
    expect(textsOf(await rest(listener))).toEqual(['world'])
    // The identifier is free: what comes under it is another message, on whichever node.
    await leave(second)
    const third = await keep('a', clientId)
    third.send(publication)
    await third.next('pubrec')
    expect(textsOf(await rest(listener))).toEqual(['world'])
  })
})
