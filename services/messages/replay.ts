import { setTimeout as sleep } from 'node:timers/promises'
import type { Bus } from '../../platform/bus/connect.ts'
import { readMessage } from '../../platform/bus/message.ts'
import type { Message } from '../../platform/bus/message.ts'
import type { Pulled } from '../../platform/bus/puller.ts'
import { findFirstSince, findLastStored } from '../../platform/bus/stored.ts'
import { MESSAGES_STREAM } from '../../platform/bus/streams.ts'
import type { Metrics } from '../../platform/metrics.ts'
import type { Admission } from './access.ts'
import { fromBus } from './errors.ts'
import type { Guard, LastingRequest } from './guard.ts'
import { liveSubjects } from './live-query.ts'
import { createPlaces } from './places.ts'
import type { PlacesLimits } from './places.ts'
import type { StreamTurns } from './stream-turns.ts'

const MAX_DURATION_MS = 15 * 60_000

export interface ReplayWish {
  /** First place in the stream, or the moment of arrival, in milliseconds since the Unix epoch. */
  readonly from: { readonly seq: number } | { readonly ms: number }
  /** Last place, that one included. */
  readonly toSeq: number | undefined
  readonly subtopic: string | undefined
  readonly maxMessages: number
  readonly maxBytes: number
  /** Messages a second; `undefined` for as fast as they are taken. */
  readonly rate: number | undefined
}

/** How far a replay has come. */
export interface ReplaySummary {
  readonly delivered: number
  /** Where to begin the next one. */
  readonly next_sequence: number
  /** Whether everything that was asked for has been delivered; else a limit was met. */
  readonly complete: boolean
}

export interface Replayed extends Pulled {
  readonly message: Message
}

/** A replay that has its place. It goes on, and keeps the place, until it is closed. */
export interface Replay {
  readonly admission: Admission
  /** Read from the stream as they are asked for. Ends early, with how far it came, once the replay is over. */
  readonly messages: AsyncGenerator<Replayed, ReplaySummary>
  /** Over: the permission was taken away, it took too long, the gateway stops, or it was closed. */
  readonly signal: AbortSignal
  /** Ends it and gives the place back. Further calls do nothing. */
  close(): void
}

export interface ReplayParts {
  readonly bus: Bus
  readonly turns: StreamTurns
  readonly guard: Guard
  readonly metrics: Pick<Metrics, 'refused'>
  readonly limits: PlacesLimits
}

export type Replays = ReturnType<typeof createReplays>

/**
 * Messages that are still in the stream, once more, for somebody who was away. They are not stored again. Everything is
 * bounded: count, bytes, rate, duration, how many at once, and what is read ahead.
 */
export function createReplays({ bus, turns, guard, metrics, limits }: ReplayParts) {
  const running = new Set<AbortController>()
  const places = createPlaces('replays', limits, (reason) => metrics.refused('http', reason))

  return {
    /**
     * Begins a replay.
     *
     * @throws {Unauthenticated} @throws {Forbidden} @throws {NotFound} as a live tail does
     * @throws {RateLimited} the caller or the domain has as many as it may
     * @throws {Unavailable} the process has as many as it may, or the bus is away
     */
    async open(request: LastingRequest, wish: ReplayWish): Promise<Replay> {
      const admission = await guard.admit(request)
      // Not with the first message: many who come together would all find room.
      const leave = places.take(admission)
      const over = new AbortController()
      const { signal } = over
      const end = () => over.abort()
      running.add(over)
      const timer = setTimeout(end, MAX_DURATION_MS)
      const unwatch = guard.watch(request, admission, end)
      const close = () => {
        end()
        clearTimeout(timer)
        unwatch()
        running.delete(over)
        leave()
      }
      try {
        const range = await findRange(bus, admission, wish)
        return { admission, messages: deliver(turns, range, wish, signal), signal, close }
      } catch (error) {
        close()
        throw error
      }
    },

    stop() {
      for (const over of running) over.abort()
    },
  }
}

interface Range {
  readonly subjects: readonly string[]
  readonly fromSeq: number
  /** The last message of the channel that is wanted; nothing behind it is waited for. */
  readonly toSeq: number
}

async function findRange(bus: Bus, admission: Admission, wish: ReplayWish): Promise<Range> {
  const subjects = liveSubjects(admission, wish)
  const manager = await fromBus(bus.connection.jetstreamManager({ checkAPI: false }))
  const { from } = wish
  const lasts = await fromBus(
    Promise.all(subjects.map((subject) => findLastStored(manager, MESSAGES_STREAM, subject))),
  )
  const last = Math.max(0, ...lasts.map((message) => message?.seq ?? 0))
  const fromSeq = 'seq' in from ? from.seq : await fromBus(findFirstSince(manager, MESSAGES_STREAM, from.ms))
  return { subjects, fromSeq, toSeq: Math.min(last, wish.toSeq ?? last) }
}

async function* deliver(
  turns: StreamTurns,
  { subjects, fromSeq, toSeq }: Range,
  wish: ReplayWish,
  signal: AbortSignal,
): AsyncGenerator<Replayed, ReplaySummary> {
  const beganMs = performance.now()
  let delivered = 0
  let bytes = 0
  let nextSeq = fromSeq
  const summary = (complete: boolean): ReplaySummary => ({ delivered, next_sequence: nextSeq, complete })
  while (nextSeq <= toSeq) {
    let batch: readonly Pulled[]
    try {
      batch = await turns.read({ subjects, fromSeq: nextSeq, toSeq, signal })
    } catch {
      // Over, or the bus went away: how far it came is in the summary.
      return summary(false)
    }
    // What was still to come has been removed in the meantime.
    if (batch.length === 0) nextSeq = toSeq + 1
    for (const pulled of batch) {
      const { seq, msg } = pulled
      if (seq > toSeq) return summary(true)
      const message = readMessage(msg)
      // One at least, so that whoever goes on behind the last gets anywhere.
      if (delivered === wish.maxMessages || (delivered > 0 && bytes + msg.data.length > wish.maxBytes)) {
        return summary(false)
      }
      if (wish.rate !== undefined) await keepRate(beganMs, delivered, wish.rate, signal)
      if (signal.aborted) return summary(false)
      if (message) yield { ...pulled, message }
      delivered += 1
      bytes += msg.data.length
      nextSeq = seq + 1
    }
  }
  return summary(true)
}

/** Waits until one more message is within the rate; small debts are not worth a timer. */
async function keepRate(beganMs: number, delivered: number, rate: number, signal: AbortSignal) {
  const aheadMs = (delivered / rate) * 1_000 - (performance.now() - beganMs)
  if (aheadMs > 5) await sleep(aheadMs, undefined, { signal }).catch(() => undefined)
}
