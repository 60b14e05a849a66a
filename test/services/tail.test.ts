import { once } from 'node:events'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openReader, startTail } from '../../services/messages/tail.ts'
import type { TailOptions } from '../../services/messages/tail.ts'
import { eventually } from '../support/eventually.ts'
import { startTestBus } from '../support/bus.ts'
import type { TestBus } from '../support/bus.ts'

const DOMAIN = '11111111-1111-4111-8111-111111111111'
const CHANNEL = '22222222-2222-4222-8222-222222222222'
const SUBJECT = `m.${DOMAIN}.c.${CHANNEL}`

let test: TestBus
beforeAll(async () => {
  test = await startTestBus()
})
afterAll(() => test.stop())

async function tailOf(options: Partial<TailOptions> = {}) {
  const counts = { delivered: 0, stalled: 0 }
  const subjects = [SUBJECT, `${SUBJECT}.>`]
  const place = { seq: 0, record: Infinity }
  const tail = startTail(await openReader(test.bus, subjects, place), {
    bus: test.bus,
    subjects,
    filter: {},
    place,
    gap: undefined,
    stallMs: 60_000,
    lateMs: 60_000,
    onDelivered: () => (counts.delivered += 1),
    onStalled: () => (counts.stalled += 1),
    ...options,
  })
  return { ...tail, counts }
}

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
  const { body, counts } = await tailOf()
  let text = ''
  body.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await eventually('the backlog', () => counts.delivered === 500)
  const manager = await test.bus.connection.jetstreamManager()
  for await (const { name } of manager.consumers.list('messages')) {
    // Those of the other test are on their way out by themselves.
    await manager.consumers.delete('messages', name).catch(() => undefined)
  }
  await publish(10)
  await eventually('the rest', () => counts.delivered === 510, 25_000)
  const ids = [...text.matchAll(/^id: (\d+)-0$/gm)].map(([, id]) => Number(id))
  expect(ids).toEqual(Array.from({ length: 510 }, (_, i) => i + 1))
  body.destroy()
})

it('a reader that is so slow that the stream moves on without it is told where', async () => {
  await publish(1_000)
  const { body, counts } = await tailOf({ lateMs: 0 })
  await eventually('it waits to be read', () => body.readableLength > 65_536 && counts.delivered > 0)
  const manager = await test.bus.connection.jetstreamManager()
  const { state } = await manager.streams.info('messages')
  await manager.streams.purge('messages', { seq: state.last_seq })
  let text = ''
  body.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await eventually('the last', () => text.includes(`id: ${state.last_seq}-0\n`))
  const gap = /event: gap\ndata: (.*)\n\nid: (\d+)-0/.exec(text)
  expect(gap?.slice(1)).toEqual([`{"first_available":${state.last_seq}}`, String(state.last_seq)])
  // Until then nothing was missing.
  const before = [...text.slice(0, gap?.index).matchAll(/^id: (\d+)-0$/gm)].map(([, id]) => Number(id))
  expect(before).toEqual(Array.from({ length: before.length }, (_, i) => i + 1))
  body.destroy()
})
