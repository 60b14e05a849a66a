import { once } from 'node:events'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import type { Bus } from '../../platform/bus/connect.ts'
import { ensureStreams } from '../../platform/bus/streams.ts'
import { createLiveEventCache } from '../../services/messages/live-events.ts'
import { createLiveFeeds } from '../../services/messages/live-feed.ts'
import { createStreamTurns } from '../../services/messages/stream-turns.ts'
import { startTail } from '../../services/messages/tail.ts'
import type { Tail, TailOptions, TailSources } from '../../services/messages/tail.ts'
import { eventually } from '../support/eventually.ts'
import { startTestBus } from '../support/bus.ts'
import type { TestBus } from '../support/bus.ts'

const DOMAIN = '11111111-1111-4111-8111-111111111111'
const CHANNEL = '22222222-2222-4222-8222-222222222222'
const SUBJECT = `m.${DOMAIN}.c.${CHANNEL}`

let test: TestBus
let sources: TailSources
const stops: (() => Promise<void>)[] = []
beforeAll(async () => {
  test = await startTestBus()
  sources = sourcesOn(test.bus)
})
afterAll(async () => {
  for (const stop of stops) await stop()
  await test.stop()
})

function sourcesOn(bus: Bus): TailSources {
  const feeds = createLiveFeeds(bus)
  stops.push(() => feeds.stop())
  return { bus, feeds, turns: createStreamTurns(bus), cache: createLiveEventCache() }
}

// What a test has left behind goes by itself, and is not to be counted in the next one.
beforeEach(() => eventually('nobody reads', async () => (await streamState()).consumer_count === 0))

const streamState = async () =>
  (await (await test.bus.connection.jetstreamManager()).streams.info('messages')).state

async function tailOf(options: Partial<TailOptions> = {}) {
  const counts = { delivered: 0, stalled: 0 }
  const tail = await startTail({
    ...sources,
    subjects: [SUBJECT, `${SUBJECT}.>`],
    filter: {},
    place: { seq: 0, record: Infinity },
    endSeq: (await streamState()).last_seq,
    gap: undefined,
    stallMs: 60_000,
    onDelivered: () => (counts.delivered += 1),
    onStalled: () => (counts.stalled += 1),
    ...options,
  })
  return { ...tail, counts }
}

/** Reads a tail as its caller would. */
function readAll({ body }: Pick<Tail, 'body'>): { text: string } {
  const read = { text: '' }
  body.on('data', (chunk: Buffer) => (read.text += chunk.toString()))
  return read
}

const sequencesIn = (text: string) => [...text.matchAll(/^id: (\d+)-0$/gm)].map(([, id]) => Number(id))
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)

async function publish(count: number): Promise<void> {
  const jetstream = test.bus.connection.jetstream()
  const payload = JSON.stringify([{ n: 'text', vs: 'x'.repeat(1_000) }])
  for (let i = 0; i < count; i++) await jetstream.publish(i % 2 ? SUBJECT : `${SUBJECT}.sub`, payload)
}

it('a reader that takes nothing is dropped, and little was kept for it', async () => {
  await publish(500)
  const { body, counts } = await tailOf({ stallMs: 50 })
  await once(body, 'close')
  expect(counts.stalled).toBe(1)
  expect(counts.delivered).toBeLessThan(100)
})

it('a tail goes on by itself, without a gap or a repeat, when the server has lost its consumers', async () => {
  const tail = await tailOf()
  const read = readAll(tail)
  await eventually('the backlog', () => tail.counts.delivered === 500)
  const manager = await test.bus.connection.jetstreamManager()
  for await (const { name } of manager.consumers.list('messages')) {
    // Those of the other test are on their way out by themselves.
    await manager.consumers.delete('messages', name).catch(() => undefined)
  }
  await publish(10)
  await eventually('the rest', () => tail.counts.delivered === 510, 25_000)
  expect(sequencesIn(read.text)).toEqual(upTo(510))
  tail.body.destroy()
})

it('what many follow comes over the bus once, by one reader', async () => {
  const own = await test.connect()
  const { last_seq: last } = await streamState()
  const options = { ...sourcesOn(own), place: { seq: last, record: Infinity } }
  const tails = await Promise.all(Array.from({ length: 30 }, () => tailOf(options)))
  const texts = tails.map(readAll)
  expect((await streamState()).consumer_count).toBeLessThanOrEqual(2)
  const before = own.connection.stats().inBytes
  await publish(100)
  await eventually('all of it for all', () => tails.every(({ counts }) => counts.delivered === 100))
  // 100 messages of 1,000 bytes and some, and what the two sides say to each other.
  expect(own.connection.stats().inBytes - before).toBeLessThan(400_000)
  for (const { text } of texts) expect(sequencesIn(text)).toEqual(upTo(last + 100).slice(last))
  for (const { body } of tails) body.destroy()
})

it('many who come back to an old place read the stream a few at a time, and miss nothing', async () => {
  const { last_seq: last } = await streamState()
  const tails = await Promise.all(Array.from({ length: 30 }, () => tailOf()))
  const texts = tails.map(readAll)
  let most = 0
  await eventually('all of it for all', async () => {
    most = Math.max(most, (await streamState()).consumer_count)
    return tails.every(({ counts }) => counts.delivered === last)
  })
  // Two for the feed that all of them share, two for each that has its turn.
  expect(most).toBeLessThanOrEqual(2 + 4 * 2)
  for (const { text } of texts) expect(sequencesIn(text)).toEqual(upTo(last))
  for (const { body } of tails) body.destroy()
})

it('a slow reader holds nothing of NATS while it is slow, and goes on where it was', async () => {
  const slow = await tailOf()
  await eventually('it waits to be read', () => slow.body.readableLength >= 65_536)
  const quick = await tailOf()
  const texts = [readAll(quick)]
  const { last_seq: last } = await streamState()
  await eventually('the quick one', () => quick.counts.delivered === last)
  // One more than the feed keeps for those who are a little slower.
  await publish(1_100)
  await eventually('the quick one', () => quick.counts.delivered === last + 1_100)
  expect((await streamState()).consumer_count).toBe(2)
  texts.push(readAll(slow))
  await eventually('the slow one', () => slow.counts.delivered === last + 1_100)
  for (const { text } of texts) expect(sequencesIn(text)).toEqual(upTo(last + 1_100))
  for (const { body } of [slow, quick]) body.destroy()
})

it('a reader that is so slow that the stream moves on without it is told where', async () => {
  const tail = await tailOf()
  await eventually(
    'it waits to be read',
    () => tail.body.readableLength >= 65_536 && tail.counts.delivered > 0,
  )
  const manager = await test.bus.connection.jetstreamManager()
  const { last_seq: last } = await streamState()
  await manager.streams.purge('messages', { seq: last })
  const read = readAll(tail)
  await eventually('the last', () => read.text.includes(`id: ${last}-0\n`))
  const gap = /event: gap\ndata: (.*)\n\nid: (\d+)-0/.exec(read.text)
  expect(gap?.slice(1)).toEqual([`{"first_available":${last}}`, String(last)])
  // Until then nothing was missing.
  const before = sequencesIn(read.text.slice(0, gap?.index))
  expect(before).toEqual(upTo(before.length))
  tail.body.destroy()
})

it('a tail ends when its stream was lost and made anew, so that its reader comes back and is told', async () => {
  const tail = await tailOf()
  readAll(tail)
  await eventually('it follows', () => tail.counts.delivered > 0)
  const manager = await test.bus.connection.jetstreamManager()
  await manager.streams.delete('messages')
  await ensureStreams(test.bus)
  if (!tail.body.closed) await once(tail.body, 'close')
  expect(tail.body.readableEnded).toBe(true)
})
