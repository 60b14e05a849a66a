import { Readable } from 'node:stream'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import type { Bus } from '../../platform/bus/connect.ts'
import type { Pulled } from '../../platform/bus/puller.ts'
import { MESSAGES_STREAM } from '../../platform/bus/streams.ts'
import type { LiveEventCache, LiveEvents } from './live-events.ts'
import type { LiveFeeds } from './live-feed.ts'
import type { LiveFilter, Place } from './live-query.ts'
import { SSE_HEARTBEAT, sseEvent, sseOpening } from './sse.ts'
import type { StreamTurns } from './stream-turns.ts'

const HEARTBEAT_MS = 15_000
const COME_BACK_MS = 2_000
const RETRY_MS = 500
/** Bytes on the way to the caller's socket before we wait for it. */
const BUFFER_BYTES = 65_536
/** Payloads that a tail works off before it lets others have their turn. */
const SHARE_BYTES = 65_536

export interface Gap {
  readonly first_available: number
}

/** What all tails of a process share. */
export interface TailSources {
  readonly bus: Bus
  readonly feeds: LiveFeeds
  readonly turns: StreamTurns
  readonly cache: LiveEventCache
}

export interface TailOptions extends TailSources {
  readonly subjects: readonly string[]
  readonly filter: LiveFilter
  /** Begin behind it. */
  readonly place: Place
  /** Where the stream ends: a feed that nobody follows yet begins here. */
  readonly endSeq: number
  /** The stream has no longer what came right behind the place that was asked for; this is what it begins with. */
  readonly gap: Gap | undefined
  /** A caller that takes nothing for this long is dropped. */
  readonly stallMs: number
  /** Records of the message were written. */
  onDelivered(message: LiveEvents): void
  onStalled(): void
}

/** A live answer: the text of it, and ways to end it. */
export interface Tail {
  readonly body: Readable
  /** Ends the answer in order; the caller will come back with the last id. */
  end(lastEvent?: { readonly type: string; readonly data: unknown }): void
}

/** Where to read on so that nothing behind the place is missed. */
const readOnFrom = ({ seq, record }: Place) => (record === Infinity ? seq + 1 : seq)

/**
 * Writes what comes as server-sent events, each with the id to go on behind it. Memory is bounded whatever the caller does:
 * what it does not take stays in the stream. Who keeps up gets what one feed reads for all; who does not, or comes back to an
 * earlier place, reads the stream in turns until it does.
 *
 * Rejects when the bus is away.
 */
export async function startTail(options: TailOptions): Promise<Tail> {
  const { bus, feeds, turns, cache, subjects, filter, stallMs } = options
  const abort = new AbortController()
  let { place } = options
  let onRead: (() => void) | undefined
  let onArrival: (() => void) | undefined
  let isEnded = false
  const following = await feeds.follow(subjects, options.endSeq, () => onArrival?.())
  const { feed } = following

  const body = new Readable({
    highWaterMark: BUFFER_BYTES,
    read: () => onRead?.(),
    destroy(error, done) {
      isEnded = true
      clearInterval(heartbeat)
      abort.abort()
      following.stop()
      onRead?.()
      onArrival?.()
      done(error)
    },
  })

  const heartbeat = setInterval(() => {
    if (!isEnded && body.readableLength === 0) body.push(SSE_HEARTBEAT)
  }, HEARTBEAT_MS)

  async function write(text: string): Promise<void> {
    if (isEnded || body.push(text)) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      onRead = resolve
      timer = setTimeout(() => {
        options.onStalled()
        body.destroy()
      }, stallMs)
    })
    clearTimeout(timer)
    onRead = undefined
  }

  async function deliver(pulled: Pulled): Promise<void> {
    const { seq } = pulled
    if (seq < readOnFrom(place)) return
    const events = cache.eventsOf(pulled)
    let text = ''
    let isDelivered = false
    const flush = async (record: number) => {
      await write(text)
      if (isEnded) return
      place = { seq, record }
      if (!isDelivered) options.onDelivered(events)
      isDelivered = true
      text = ''
    }
    for (const record of events.matching(filter)) {
      if (seq === place.seq && record <= place.record) continue
      text += events.text(record)
      if (text.length >= BUFFER_BYTES) await flush(record)
      if (isEnded) return
    }
    if (text !== '') await flush(Infinity)
    if (isEnded) return
    place = { seq, record: Infinity }
  }

  let worked = 0
  async function take(pulled: Pulled): Promise<void> {
    await deliver(pulled)
    worked += pulled.msg.data.length
    if (worked < SHARE_BYTES) return
    worked = 0
    await nextTurn()
  }

  /** Who is behind by more than the replay window misses what has left the stream. */
  async function tellGap(): Promise<void> {
    const manager = await bus.connection.jetstreamManager({ checkAPI: false })
    const { first_seq: available } = (await manager.streams.info(MESSAGES_STREAM)).state
    if (place.seq + 1 >= available) return
    await write(sseEvent({ type: 'gap', data: { first_available: available } satisfies Gap }))
    // Of what is behind it some may have been read before, of one subject more than of another.
    place = { seq: available - 1, record: Infinity }
  }

  /** Reads by itself what the feed has moved past. */
  async function catchUp(): Promise<void> {
    const { behindSeq: toSeq } = feed
    const batch = await turns.read({ subjects, fromSeq: readOnFrom(place), toSeq, signal: abort.signal })
    await tellGap()
    // Nothing lies between us and the feed.
    if (batch.length === 0) place = { seq: Math.max(place.seq, toSeq), record: Infinity }
    for (const pulled of batch) {
      if (isEnded) return
      await take(pulled)
    }
  }

  async function readOn(): Promise<void> {
    const next = feed.find(readOnFrom(place))
    if (next === 'behind') return catchUp()
    if (next) return take(next)
    await new Promise<void>((resolve) => (onArrival = resolve))
    onArrival = undefined
  }

  async function run(): Promise<void> {
    await write(sseOpening(textOf(place), COME_BACK_MS))
    if (options.gap) await write(sseEvent({ type: 'gap', data: options.gap }))
    while (!isEnded) {
      // Its reader comes back with an id of the stream that was, and is told what there is.
      if (feed.isLost) return end()
      try {
        await readOn()
      } catch {
        // The bus was away, or what was there has been removed: go on behind the place as soon as that is possible.
        await sleep(RETRY_MS, undefined, { signal: abort.signal }).catch(() => undefined)
      }
    }
  }

  function end(lastEvent?: { readonly type: string; readonly data: unknown }): void {
    if (isEnded) return
    isEnded = true
    if (lastEvent) body.push(sseEvent(lastEvent))
    body.push(null)
    // A caller that takes nothing must not hold up whoever waits for the end.
    const timer = setTimeout(() => body.destroy(), 1_000)
    body.once('close', () => clearTimeout(timer))
  }

  run().catch((error: unknown) =>
    body.destroy(error instanceof Error ? error : new Error('tail failed', { cause: error })),
  )
  return { body, end }
}

const textOf = ({ seq, record }: Place) => (record === Infinity ? String(seq) : `${seq}-${record}`)
