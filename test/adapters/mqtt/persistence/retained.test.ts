import { describe, expect, it } from 'vitest'
import { leave, textsOf, useTwoNodes } from './support.ts'

const nodes = useTwoNodes()
const { open, publish, rest, topic } = nodes

/** What a client that is new on the other node gets for the filters. */
async function lookUp(...filters: string[]) {
  const raw = await open('b')
  await raw.subscribe(filters.map(topic))
  return rest(raw)
}

describe('aedes-persistence: retained messages', () => {
  // Seen from outside, a set-up that is waited for is a node that listens only once it can look things up.
  it('verify setup() method is async', async () => {
    await publish('a', 'hello/world', 'muahah', { retain: true })
    const kept = await nodes.keep('a', 'early')
    await kept.subscribe(topic('hello/world'), { rh: 2 })
    await leave(kept)
    const early = await nodes.keep(await nodes.start(), 'early')
    expect(early.connack?.sessionPresent).toBe(true)
    await early.subscribe(topic('#'))
    expect(textsOf(await rest(early))).toEqual(['muahah'])
  })

  const WORLD = 'hello/world'
  const CREATURES = 'hello/there/world/creatures'
  const OTHER = 'other'
  it.each([
    ['store and look up retained messages', ['hello/world'], [WORLD]],
    ['look up retained messages with a # pattern', ['#'], [WORLD, CREATURES, OTHER]],
    ['look up retained messages with a hello/world/# pattern', ['hello/world/#'], [WORLD]],
    ['look up retained messages with a + pattern', ['hello/+'], [WORLD]],
    ['look up retained messages with a + as first element', ['+/world'], [WORLD]],
    ['look up retained messages with +/#', ['+/#'], [WORLD, CREATURES, OTHER]],
    [
      'look up retained messages with a + and # pattern with some in between',
      ['hello/+/world/#'],
      [CREATURES],
    ],
    ['look up retained messages with multiple patterns', ['hello/+', 'other/hello'], [WORLD]],
    [
      'look up retained messages with multiple wildcard patterns',
      ['hello/+', 'hel/#', 'hello/world/there/+'],
      [WORLD],
    ],
  ])('%s', async (_, filters, found) => {
    for (const level of [WORLD, CREATURES, OTHER]) await publish('a', level, level, { retain: true })
    const heard = await lookUp(...filters)
    expect(heard.map((message) => [message.topic, message.text, message.retain])).toEqual(
      found.map((level) => [topic(level), level, true]),
    )
  })

  it('store multiple retained messages in order', async () => {
    const writer = await open('a')
    const payloads = Array.from({ length: 1_000 }, (_, index) => String(index))
    // A quarter of them is there at the end: each topic has been stored four times.
    while (payloads.length > 0) {
      const batch = payloads.splice(0, 100)
      for (const payload of batch) {
        const number = Number(payload)
        writer.send({
          cmd: 'publish',
          topic: topic(String(number % 250)),
          payload,
          qos: 1,
          messageId: number + 1,
          dup: false,
          retain: true,
        })
      }
      for (const payload of batch) {
        expect((await writer.next('puback')).messageId).toBe(Number(payload) + 1)
      }
    }
    expect(textsOf(await lookUp('#'))).toEqual(Array.from({ length: 250 }, (_, index) => String(750 + index)))
  })

  it('remove retained message', async () => {
    await publish('a', 'hello/world', 'muahah', { retain: true })
    expect(textsOf(await lookUp('#'))).toEqual(['muahah'])
    await publish('a', 'hello/world', '', { retain: true })
    expect(await lookUp('#')).toEqual([])
  })

  it('storing twice a retained message should keep only the last', async () => {
    // Connected beforehand, so that it looks right behind the acknowledgement.
    const looking = await open('b')
    for (const payload of ['muahah', 'ahah']) await publish('a', 'hello/world', payload, { retain: true })
    await looking.subscribe(topic('#'))
    expect(textsOf(await rest(looking))).toEqual(['ahah'])
  })

  // What becomes of the message on its way to others (RETAIN taken off, QoS lowered) is not done to what is stored.
  it('Create a new packet while storing a retained message', async () => {
    const listener = await open('a')
    await listener.subscribe(topic('#'), { qos: 0 })
    await publish('a', 'hello/world', 'muahah', { retain: true })
    expect(await listener.message()).toMatchObject({ text: 'muahah', retain: false, qos: 0 })
    expect(await lookUp('#')).toMatchObject([{ text: 'muahah', retain: true, qos: 1 }])
  })
})
