import { setTimeout as sleep } from 'node:timers/promises'
import { createChannelReader } from '../../platform/bus/channel-reader.ts'
import type { ChannelReader } from '../../platform/bus/channel-reader.ts'
import type { Bus } from '../../platform/bus/connect.ts'
import { readMessage } from '../../platform/bus/message.ts'
import type { Message } from '../../platform/bus/message.ts'
import type { Pulled } from '../../platform/bus/puller.ts'
import { findFirstSince, findLastStored } from '../../platform/bus/stored.ts'
import { MESSAGES_STREAM } from '../../platform/bus/streams.ts'
import type { Admission } from './access.ts'
import { TooManyReplays, fromBus } from './errors.ts'
import type { Guard, LastingRequest } from './guard.ts'
import { liveSubjects } from './live-query.ts'

/** A silence of the stream as long as this means that what was still to come has been removed in the meantime. */
const IDLE_MS = 10_000
const MAX_DURATION_MS = 15 * 60_000
const MAX_MESSAGES = 1_000

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

export interface ReplayParts {
  readonly bus: Bus
  readonly guard: Guard
  readonly maxReplays: number
}

export type Replays = ReturnType<typeof createReplays>

/** Messages that are still in the stream, once more, for somebody who was away. They are not stored again. */
export function createReplays({ bus, guard, maxReplays }: ReplayParts) {
  const running = new Set<AbortController>()

  /**
   * Everything is bounded: count, bytes, rate, duration, and what is read ahead. Ends early when the permission is taken
   * away or the gateway stops.
   */
  async function* run(
    request: LastingRequest,
    admission: Admission,
    wish: ReplayWish,
  ): AsyncGenerator<Replayed, ReplaySummary> {
    const abort = new AbortController()
    running.add(abort)
    const release = guard.watch(request, admission, () => abort.abort())
    const signal = AbortSignal.any([abort.signal, AbortSignal.timeout(MAX_DURATION_MS)])
    let reader: ChannelReader | undefined
    try {
      const range = await findRange(bus, admission, wish)
      if (range.fromSeq > range.toSeq) return { delivered: 0, next_sequence: range.fromSeq, complete: true }
      reader = await fromBus(
        createChannelReader(bus, {
          subjects: range.subjects,
          fromSeq: range.fromSeq,
          maxMessages: MAX_MESSAGES,
          maxBytes: bus.maxPayloadBytes + 65_536,
        }),
      )
      return yield* deliver(reader, range, wish, signal)
    } finally {
      await reader?.stop()
      release()
      running.delete(abort)
    }
  }

  return {
    /**
     * Begins a replay. What it yields is read as it is asked for.
     *
     * @throws {Unauthenticated} @throws {Forbidden} @throws {NotFound} as a live tail does
     * @throws {TooManyReplays} @throws {Unavailable}
     */
    async open(request: LastingRequest, wish: ReplayWish) {
      const admission = await guard.admit(request)
      if (running.size >= maxReplays) throw new TooManyReplays()
      return { admission, messages: run(request, admission, wish) }
    },

    stop() {
      for (const abort of running) abort.abort()
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
  reader: ChannelReader,
  range: Range,
  wish: ReplayWish,
  signal: AbortSignal,
): AsyncGenerator<Replayed, ReplaySummary> {
  const beganMs = performance.now()
  let delivered = 0
  let bytes = 0
  let nextSeq = range.fromSeq
  const summary = (complete: boolean): ReplaySummary => ({ delivered, next_sequence: nextSeq, complete })
  while (nextSeq <= range.toSeq) {
    const batch = await nextBatch(reader, signal)
    if (!batch) return summary(false)
    for (const pulled of batch) {
      const { seq, msg } = pulled
      if (seq > range.toSeq) return summary(true)
      const message = readMessage(msg)
      if (signal.aborted || delivered === wish.maxMessages) return summary(false)
      // One at least, so that whoever goes on behind the last gets anywhere.
      if (delivered > 0 && bytes + msg.data.length > wish.maxBytes) return summary(false)
      if (wish.rate !== undefined) await keepRate(beganMs, delivered, wish.rate, signal)
      if (message) yield { ...pulled, message }
      delivered += 1
      bytes += msg.data.length
      nextSeq = seq + 1
    }
  }
  return summary(true)
}

/** @returns `undefined` when nothing comes any more, or nothing more is wanted */
async function nextBatch(reader: ChannelReader, signal: AbortSignal): Promise<Pulled[] | undefined> {
  const stop = () => void reader.stop().catch(() => undefined)
  const idle = setTimeout(stop, IDLE_MS)
  signal.addEventListener('abort', stop)
  try {
    return await reader.next()
  } catch {
    // Stopped, or the bus went away: how far it came is in the summary.
    return undefined
  } finally {
    clearTimeout(idle)
    signal.removeEventListener('abort', stop)
  }
}

/** Waits until one more message is within the rate; small debts are not worth a timer. */
async function keepRate(beganMs: number, delivered: number, rate: number, signal: AbortSignal) {
  const aheadMs = (delivered / rate) * 1_000 - (performance.now() - beganMs)
  if (aheadMs > 5) await sleep(aheadMs, undefined, { signal }).catch(() => undefined)
}
