import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Msg } from 'nats'
import { expect, it } from 'vitest'
import { nowNs } from '../../platform/bus/message.ts'
import type { Replayed, ReplaySummary } from '../../services/messages/replay.ts'
import { replayLines } from '../../services/messages/replay-answer.ts'
import { eventually } from '../support/eventually.ts'

async function* messages(count: number): AsyncGenerator<Replayed, ReplaySummary> {
  for (let seq = 1; seq <= count; seq++) {
    const origin = { domainId: 'd', channelId: 'c', levels: [], publisher: '', contentType: '' }
    const facts = { protocol: 'nats', qos: 0, retain: false, receivedAtNs: nowNs() } as const
    const message = { ...origin, ...facts, payload: Buffer.alloc(1_000) }
    yield await Promise.resolve({ seq, pending: 0, msg: {} as Msg, message })
  }
  return { delivered: count, next_sequence: count + 1, complete: true }
}

function replayOf(count: number) {
  const over = new AbortController()
  const closes: number[] = []
  return { messages: messages(count), over, signal: over.signal, closes, close: () => void closes.push(1) }
}

it('a replay whose caller takes nothing gives its place back', async () => {
  const replay = replayOf(1_000)
  const body = replayLines(replay, 20)
  await once(body, 'close')
  expect(replay.closes).toEqual([1])
})

it('a replay whose caller stops in the middle gives its place back', async () => {
  const replay = replayOf(1_000)
  const body = replayLines(replay, 50)
  await once(body, 'readable')
  expect(String(body.read(1_000))).toContain('"sequence":1')
  await once(body, 'close')
  expect(replay.closes).toEqual([1])
})

it('a replay that is over does not wait for a caller who takes nothing', async () => {
  const replay = replayOf(1_000)
  const body = replayLines(replay, 60_000)
  await once(body, 'readable')
  replay.over.abort()
  await once(body, 'close')
  expect(replay.closes).toEqual([1])
})

it('a caller who takes all of it gets how far it came, and is not hurried', async () => {
  const replay = replayOf(1_000)
  const lines: string[] = []
  const reader = createInterface({ input: replayLines(replay, 60_000) })
  reader.on('line', (line) => lines.push(line))
  await once(reader, 'close')
  expect(lines).toHaveLength(1_001)
  expect(lines.at(-1)).toBe('{"replay":{"delivered":1000,"next_sequence":1001,"complete":true}}')
  await eventually('the place is free', () => replay.closes.length === 1)
})
