import { subscribeCommitted } from '../platform/bus/committed.ts'
import type { Committed } from '../platform/bus/committed.ts'
import type { Bus } from '../platform/bus/connect.ts'
import { MESSAGES_STREAM, readStreams, STREAMS } from '../platform/bus/streams.ts'
import type { StreamState } from '../platform/bus/streams.ts'
import type { Metrics } from '../platform/metrics.ts'

/** One answer of the server serves all numbers of one reading of `/metrics`. */
const FRESH_MS = 1_000

/**
 * How full the streams are, and how much of `messages` is yet to be stored: asked of the server when somebody reads, and of
 * whoever writes by its announcements, so that it can be told while the database is away.
 */
export function showStreams(metrics: Metrics, bus: Bus): { stop(): void } {
  let committed: Committed | undefined
  const subscription = subscribeCommitted(bus, (announced) => (committed = announced))
  let asked: { readonly atMs: number; readonly states: Promise<ReadonlyMap<string, StreamState>> } | undefined

  function states(): Promise<ReadonlyMap<string, StreamState>> {
    if (!bus.isConnected) return Promise.reject(new Error('the bus is disconnected'))
    if (!asked || Date.now() - asked.atMs > FRESH_MS) asked = { atMs: Date.now(), states: readStreams(bus) }
    return asked.states
  }

  for (const stream of STREAMS) {
    const gauge = (name: string, help: string, read: (state: StreamState) => number) =>
      metrics.gauge(
        `sluice_stream_${name}`,
        help,
        async () => {
          const state = (await states()).get(stream)
          return state && read(state)
        },
        { stream },
      )
    gauge('messages', 'Messages in the stream', ({ messages }) => messages)
    gauge('bytes', 'Bytes of the stream', ({ bytes }) => bytes)
    gauge('max_bytes', 'Bytes that the stream may have', ({ maxBytes }) => maxBytes)
  }
  metrics.gauge(
    'sluice_writer_backlog_messages',
    'Messages in the stream that are not stored yet',
    async () => {
      const state = (await states()).get(MESSAGES_STREAM)
      if (!state || committed?.createdAt !== state.createdAt) return undefined
      return Math.max(0, state.lastSeq - committed.seq)
    },
  )
  return subscription
}
