import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { createChannelReader } from '../../platform/bus/channel-reader.ts'
import type { ChannelReader } from '../../platform/bus/channel-reader.ts'
import type { Bus } from '../../platform/bus/connect.ts'
import { readMessage } from '../../platform/bus/message.ts'
import type { Message } from '../../platform/bus/message.ts'
import { takenNs } from '../../platform/bus/puller.ts'
import type { Pulled } from '../../platform/bus/puller.ts'
import { MESSAGES_STREAM } from '../../platform/bus/streams.ts'
import { decodeMessage } from './decode.ts'
import { liveRecords } from './live-query.ts'
import type { LiveFilter, Place } from './live-query.ts'
import { SSE_HEARTBEAT, sseEvent, sseOpening } from './sse.ts'

const HEARTBEAT_MS = 15_000
const COME_BACK_MS = 2_000
const RETRY_MS = 500
const NS_PER_MS = 1_000_000n
const MAX_MESSAGES = 256
/** Bytes on the way to the caller's socket before we wait for it. */
const BUFFER_BYTES = 65_536

export interface Gap {
  readonly first_available: number
}

export interface TailOptions {
  readonly bus: Bus
  readonly subjects: readonly string[]
  readonly filter: LiveFilter
  /** Begin behind it. */
  readonly place: Place
  /** The stream has no longer what came right behind the place that was asked for; this is what it begins with. */
  readonly gap: Gap | undefined
  /** A caller that takes nothing for this long is dropped. */
  readonly stallMs: number
  /** A message that comes so long after the stream took it may not be the first of those that were to come. */
  readonly lateMs: number
  /** Records of the message were written. */
  onDelivered(message: Message, seq: number): void
  onStalled(): void
}

/** A live answer: the text of it, and ways to end it. */
export interface Tail {
  readonly body: Readable
  /** Ends the answer in order; the caller will come back with the last id. */
  end(lastEvent?: { readonly type: string; readonly data: unknown }): void
}

/** Where to read on so that nothing behind the place is missed. */
export const readOnFrom = ({ seq, record }: Place) => (record === Infinity ? seq + 1 : seq)

/** How the tail reads the stream: little ahead, because the stream keeps it anyway. */
export function openReader(bus: Bus, subjects: readonly string[], place: Place): Promise<ChannelReader> {
  return createChannelReader(bus, {
    subjects,
    fromSeq: readOnFrom(place),
    maxMessages: MAX_MESSAGES,
    // One message of the largest size must fit, with its headers.
    maxBytes: bus.maxPayloadBytes + 65_536,
  })
}

/**
 * Writes what comes as server-sent events, each with the id to go on behind it. Memory is bounded whatever the caller does:
 * what it does not take stays in the stream.
 *
 * @param reader at the place; stopped by the tail
 */
export function startTail(first: ChannelReader, options: TailOptions): Tail {
  const { bus, subjects, filter, stallMs, lateMs } = options
  const abort = new AbortController()
  let { place } = options
  let reader: ChannelReader | undefined = first
  let onRead: (() => void) | undefined
  let isEnded = false

  const body = new Readable({
    highWaterMark: BUFFER_BYTES,
    read: () => onRead?.(),
    destroy(error, done) {
      isEnded = true
      clearInterval(heartbeat)
      abort.abort()
      onRead?.()
      done(error)
    },
  })
  // Wakes `run`, which stops what it has made since.
  abort.signal.addEventListener('abort', () => void reader?.stop().catch(() => undefined))

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

  async function deliver({ seq, msg }: Pulled): Promise<void> {
    if (seq < place.seq) return
    const message = readMessage(msg)
    const records = message ? liveRecords(decodeMessage(message, seq), filter) : []
    let isDelivered = false
    for (const { record, data } of records) {
      if (seq === place.seq && record <= place.record) continue
      await write(sseEvent({ id: `${seq}-${record}`, data }))
      if (isEnded) return
      place = { seq, record }
      if (message && !isDelivered) options.onDelivered(message, seq)
      isDelivered = true
    }
    place = { seq, record: Infinity }
  }

  /** Who is behind by more than the replay window misses what has left the stream. Who is not pays nothing for the question. */
  async function tellGap([first]: readonly Pulled[]): Promise<void> {
    if (!first || BigInt(Date.now() - lateMs) * NS_PER_MS < takenNs(first)) return
    const manager = await bus.connection.jetstreamManager({ checkAPI: false })
    const { first_seq: available } = (await manager.streams.info(MESSAGES_STREAM)).state
    if (place.seq + 1 >= available) return
    await write(sseEvent({ type: 'gap', data: { first_available: available } satisfies Gap }))
    // Of what is behind it some may have been read ahead, of one subject more than of another.
    place = { seq: available - 1, record: Infinity }
  }

  async function readOn(): Promise<void> {
    reader ??= await openReader(bus, subjects, place)
    // Ended while the reader was made: nobody would wake it.
    if (isEnded) return
    const batch = await reader.next()
    await tellGap(batch)
    for (const pulled of batch) {
      if (isEnded) return
      await deliver(pulled)
    }
  }

  async function run(): Promise<void> {
    await write(sseOpening(textOf(place), COME_BACK_MS))
    if (options.gap) await write(sseEvent({ type: 'gap', data: options.gap }))
    while (!isEnded) {
      try {
        await readOn()
      } catch {
        // The bus was away, or the server has lost the consumer: go on behind the place as soon as that is possible.
        await reader?.stop()
        reader = undefined
        await sleep(RETRY_MS, undefined, { signal: abort.signal }).catch(() => undefined)
      }
    }
    await reader?.stop()
  }

  run().catch((error: unknown) =>
    body.destroy(error instanceof Error ? error : new Error('tail failed', { cause: error })),
  )
  return {
    body,
    end(lastEvent) {
      if (isEnded) return
      isEnded = true
      if (lastEvent) body.push(sseEvent(lastEvent))
      body.push(null)
      // A caller that takes nothing must not hold up whoever waits for the end.
      const timer = setTimeout(() => body.destroy(), 1_000)
      body.once('close', () => clearTimeout(timer))
    },
  }
}

const textOf = ({ seq, record }: Place) => (record === Infinity ? String(seq) : `${seq}-${record}`)
