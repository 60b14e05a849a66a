import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { encode } from '../support.ts'
import type { RawClient } from '../support.ts'
import { leave, textsOf, unsubscribe, useTwoNodes } from './support.ts'

const nodes = useTwoNodes()
const { keep, open, publish, rest, topic } = nodes
const QOS = [0, 1, 2] as const

let clientId: string
beforeEach(() => {
  clientId = randomUUID()
})

/** Publishes on each of the topics what is named like it. */
async function publishAll(...levels: string[]): Promise<void> {
  for (const level of levels) await publish('a', level, level, { qos: 2 })
}

/** Text and QoS of all that is on its way. */
const deliveries = async (raw: RawClient) => (await rest(raw)).map(({ text, qos }) => [text, qos])

describe('aedes-persistence: the subscriptions of a client', () => {
  it('store and look up subscriptions by client', async () => {
    const { doomed, kill } = await nodes.startDoomed()
    const first = await keep(doomed, clientId)
    const options = { rh: 0, rap: true, nl: false } as const
    await first.subscribe([topic('hello'), topic('matteo')], { qos: 1, ...options })
    await first.subscribe(topic('noqos'), { qos: 0, ...options })
    await first.subscribe(topic('others'), { qos: 1, ...options, nl: true })
    // What was granted is on file, however the node ends.
    await kill()
    const second = await keep('b', clientId)
    expect(second.connack?.sessionPresent).toBe(true)
    for (const level of ['hello', 'matteo', 'noqos', 'others']) {
      await second.publish(topic(level), { payload: level, retain: true })
    }
    expect((await rest(second)).map(({ text, qos, retain }) => [text, qos, retain])).toEqual([
      ['hello', 1, true],
      ['matteo', 1, true],
      ['noqos', 0, true],
    ])
  })

  it('store and look up a subscription with an MQTT 5.0 subscription identifier', async () => {
    const first = await keep('a', clientId)
    await first.subscribe(topic('hello'), {}, { subscriptionIdentifier: 42 })
    await leave(first)
    await publish('a', 'hello', 'missed')
    const second = await keep('b', clientId)
    await publish('a', 'hello', 'live')
    expect(await rest(second)).toMatchObject(
      ['missed', 'live'].map((text) => ({ text, properties: { subscriptionIdentifier: 42 } })),
    )
  })

  it('remove subscriptions by client', async () => {
    const { doomed, kill } = await nodes.startDoomed()
    const first = await keep(doomed, clientId)
    await first.subscribe([topic('hello'), topic('matteo')])
    await unsubscribe(first, topic('hello'))
    await kill()
    await publishAll('hello', 'matteo')
    const second = await keep('b', clientId)
    await publishAll('hello', 'matteo')
    expect(textsOf(await rest(second))).toEqual(['matteo', 'matteo'])
  })

  it('get topic list after concurrent subscriptions of a client', async () => {
    const first = await keep('a', clientId)
    const both = ['hello1', 'hello2'].map((level, index) => ({
      cmd: 'subscribe' as const,
      messageId: index + 1,
      subscriptions: [{ topic: topic(level), qos: 1 as const, nl: false, rap: true, rh: 0 }],
    }))
    // In one piece: the second is there before the first is answered.
    first.write(encode(5, ...both))
    for (const { messageId } of both) expect((await first.next('suback')).messageId).toBe(messageId)
    await leave(first)
    await publishAll('hello1', 'hello2')
    expect(textsOf(await rest(await keep('b', clientId)))).toEqual(['hello1', 'hello2'])
  })

  it('clean subscriptions', async () => {
    const first = await keep('a', clientId)
    await first.subscribe([topic('hello'), topic('matteo')])
    await leave(first)
    await publishAll('hello', 'matteo')
    const clean = await keep('b', clientId, { clean: true })
    expect(clean.connack?.sessionPresent).toBe(false)
    await publishAll('hello', 'matteo')
    expect(await rest(clean)).toEqual([])
    await leave(clean)
    expect(await rest(await keep('a', clientId))).toEqual([])
  })

  it('clean subscriptions with no active subscriptions', async () => {
    const clean = await open('a', { clientId, clean: true })
    expect(clean.connack?.sessionPresent).toBe(false)
    await leave(clean)
    const next = await keep('b', clientId)
    expect(next.connack?.sessionPresent).toBe(false)
    await publishAll('hello')
    expect(await rest(next)).toEqual([])
  })
})

describe('aedes-persistence: the subscriptions to a topic', () => {
  it('store and look up subscriptions by topic', async () => {
    const first = await keep('a', clientId)
    for (const [index, filter] of ['hello', 'hello/#', 'matteo'].entries()) {
      await first.subscribe(topic(filter), {}, { subscriptionIdentifier: index + 1 })
    }
    await leave(first)
    await publishAll('hello')
    const [heard, ...more] = await rest(await keep('b', clientId))
    expect(heard).toMatchObject({ text: 'hello', qos: 1 })
    expect(new Set([heard?.properties?.subscriptionIdentifier].flat())).toEqual(new Set([1, 2]))
    expect(more).toEqual([])
  })

  it('get client list after subscriptions', async () => {
    const clients = [await open('a'), await open('b')]
    for (const raw of clients) await raw.subscribe(topic('helloagain'))
    for (const node of ['a', 'b'] as const) await publish(node, 'helloagain', node)
    for (const raw of clients) expect(textsOf(await rest(raw))).toEqual(['a', 'b'])
  })

  it('get client list after an unsubscribe', async () => {
    const staying = await open('a')
    const going = await open('b')
    for (const raw of [staying, going]) await raw.subscribe(topic('helloagain'))
    await unsubscribe(going, topic('helloagain'))
    for (const node of ['a', 'b'] as const) await publish(node, 'helloagain', node)
    expect(textsOf(await rest(staying))).toEqual(['a', 'b'])
    expect(await rest(going)).toEqual([])
  })

  // The list before this one is of who is there, this one of who is away.
  it('get subscriptions list after an unsubscribe', async () => {
    const goingId = randomUUID()
    const staying = await keep('a', clientId)
    const going = await keep('b', goingId)
    for (const raw of [staying, going]) await raw.subscribe(topic('helloagain'))
    await unsubscribe(going, topic('helloagain'))
    await leave(staying)
    await leave(going)
    await publishAll('helloagain')
    expect(textsOf(await rest(await keep('b', clientId)))).toEqual(['helloagain'])
    expect(await rest(await keep('a', goingId))).toEqual([])
  })

  it('QoS 0 subscriptions, restored but not matched', async () => {
    const first = await keep('a', clientId)
    await first.subscribe(topic('hello'), { qos: 0 })
    await first.subscribe([topic('hello/#'), topic('matteo')], { qos: 1 })
    await first.subscribe(topic('noqos'), { qos: 0 })
    await leave(first)
    await publishAll('noqos', 'hello', 'matteo')
    const second = await keep('b', clientId)
    expect(await deliveries(second)).toEqual([
      ['hello', 1],
      ['matteo', 1],
    ])
    await publishAll('noqos')
    expect(await deliveries(second)).toEqual([['noqos', 0]])
  })

  // What a count is for: who has a subscription gets what it asks for, once, and who has it no more gets nothing.
  it('store and count subscriptions', async () => {
    let node: 'a' | 'b' = 'a'
    /** Removes a subscription on one node and looks on the other what is left. */
    const leftWithout = async (level: string) => {
      const raw = await keep(node, clientId)
      await unsubscribe(raw, topic(level))
      await leave(raw)
      await publishAll('hello', 'matteo', 'noqos')
      node = node === 'a' ? 'b' : 'a'
      const back = await keep(node, clientId)
      const missed = textsOf(await rest(back))
      await publishAll('hello', 'matteo', 'noqos')
      const live = textsOf(await rest(back))
      await leave(back)
      return { missed, live }
    }
    const first = await keep(node, clientId)
    await first.subscribe([topic('hello'), topic('matteo')], { qos: 1 })
    await first.subscribe(topic('noqos'), { qos: 0 })
    await leave(first)
    expect(await leftWithout('hello')).toEqual({ missed: ['matteo'], live: ['matteo', 'noqos'] })
    expect(await leftWithout('matteo')).toEqual({ missed: [], live: ['noqos'] })
    expect(await leftWithout('noqos')).toEqual({ missed: [], live: [] })
    expect(await leftWithout('noqos')).toEqual({ missed: [], live: [] })
  })

  it('count subscriptions with two clients', async () => {
    const clients = [await open('a'), await open('b')] as const
    for (const raw of clients) {
      await raw.subscribe([topic('hello'), topic('matteo')], { qos: 1 })
      await raw.subscribe(topic('noqos'), { qos: 0 })
    }
    const steps = [
      [0, 'foobar', ['hello', 'matteo', 'noqos'], ['hello', 'matteo', 'noqos']],
      [0, 'hello', ['matteo', 'noqos'], ['hello', 'matteo', 'noqos']],
      [0, 'hello', ['matteo', 'noqos'], ['hello', 'matteo', 'noqos']],
      [0, 'matteo', ['noqos'], ['hello', 'matteo', 'noqos']],
      [0, 'noqos', [], ['hello', 'matteo', 'noqos']],
      [1, 'hello', [], ['matteo', 'noqos']],
      [1, 'matteo', [], ['noqos']],
      [1, 'noqos', [], []],
    ] as const
    for (const [which, removed, ...left] of steps) {
      await unsubscribe(clients[which], topic(removed))
      await publishAll('hello', 'matteo', 'noqos')
      expect([textsOf(await rest(clients[0])), textsOf(await rest(clients[1]))]).toEqual(left)
    }
  })
})

describe('aedes-persistence: a subscription made again', () => {
  /** One SUBSCRIBE that has the filter as often as there are QoS given. */
  async function subscribeAll(raw: RawClient, ...given: (0 | 1 | 2)[]): Promise<void> {
    const subscriptions = given.map((qos) => ({ topic: topic('hello'), qos, nl: false, rap: true, rh: 0 }))
    raw.send({ cmd: 'subscribe', messageId: 1, subscriptions })
    expect((await raw.next('suback')).granted).toEqual(given)
  }

  /** What the other node knows: what it kept of a message, and how the next one comes. */
  async function lookUp(node: 'a' | 'b' = 'b') {
    await publish('a', 'hello', 'missed', { qos: 2 })
    const raw = await keep(node, clientId)
    const missed = await deliveries(raw)
    await publish('a', 'hello', 'live', { qos: 2 })
    const live = await deliveries(raw)
    await leave(raw)
    return [...missed, ...live]
  }

  const expected = (qos: 0 | 1 | 2) => [...(qos === 0 ? [] : [['missed', qos]]), ['live', qos]]

  it('same topic, different QoS', async () => {
    const first = await keep('a', clientId)
    await subscribeAll(first, 0, 1)
    await leave(first)
    expect(await lookUp()).toEqual(expected(1))
  })

  it('replace subscriptions', async () => {
    for (const qos of [...QOS, 1, 0] as const) {
      const raw = await keep('a', clientId)
      await subscribeAll(raw, qos)
      await leave(raw)
      expect(await lookUp()).toEqual(expected(qos))
    }
  })

  it('replace subscriptions in same call', async () => {
    const first = await keep('a', clientId)
    await subscribeAll(first, ...QOS, 1, 0)
    await leave(first)
    expect(await lookUp()).toEqual(expected(0))
  })

  it.each([
    ['add duplicate subs to persistence for qos > 0', 1],
    ['add duplicate subs to persistence for qos 0', 0],
  ] as const)('%s', async (_, qos) => {
    for (const node of ['a', 'b'] as const) {
      const raw = await keep(node, clientId)
      await subscribeAll(raw, qos)
      await leave(raw)
    }
    expect(await lookUp('a')).toEqual(expected(qos))
  })
})
