import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { createChannelReader } from '../../platform/bus/channel-reader.ts'
import type { ChannelReader } from '../../platform/bus/channel-reader.ts'
import type { Bus } from '../../platform/bus/connect.ts'
import type { Pulled } from '../../platform/bus/puller.ts'
import { MESSAGES_STREAM } from '../../platform/bus/streams.ts'

const RETRY_MS = 500
/** What the server may send ahead, for each subject; a larger message comes alone. */
const AHEAD_MESSAGES = 256
const AHEAD_BYTES = 262_144
/** What is kept for those who are a little slower; who is slower than that reads the stream in turns. */
const WINDOW_MESSAGES = 1_024
const WINDOW_BYTES = 1_048_576

/** The newest messages on some subjects, read once for all who follow them. */
export interface LiveFeed {
  /**
   * The first message at or behind a place: `undefined` when it has not come yet, `behind` when the feed may have moved past
   * it.
   */
  find(fromSeq: number): Pulled | 'behind' | undefined
  /** Everything on the subjects behind this place has been or will be found. */
  readonly behindSeq: number
  /** The stream was lost and made anew: its places count from 1 again, and nothing goes on where it was. */
  readonly isLost: boolean
}

/** A part in a feed. */
export interface Following {
  readonly feed: LiveFeed
  stop(): void
}

/** The feeds of a process, one for all who follow the same subjects. */
export interface LiveFeeds {
  /**
   * Joins the feed, or begins it at a place.
   *
   * @param onArrival something came that may be found now, or the feed is lost
   */
  follow(subjects: readonly string[], behindSeq: number, onArrival: () => void): Promise<Following>
  stop(): Promise<void>
}

interface Feed extends LiveFeed {
  readonly ready: Promise<void>
  readonly listeners: Set<() => void>
  stop(): Promise<void>
}

export function createLiveFeeds(bus: Bus): LiveFeeds {
  const feeds = new Map<string, Feed>()

  async function leave(key: string, feed: Feed): Promise<void> {
    if (feed.listeners.size > 0) return
    if (feeds.get(key) === feed) feeds.delete(key)
    await feed.stop()
  }

  return {
    async follow(subjects, behindSeq, onArrival) {
      const key = subjects.join(' ')
      let feed = feeds.get(key)
      if (!feed || feed.isLost) feeds.set(key, (feed = startFeed(bus, subjects, behindSeq)))
      const joined = feed
      // Two who pass the same function are two.
      const listener = () => onArrival()
      joined.listeners.add(listener)
      const stop = () => {
        if (joined.listeners.delete(listener)) void leave(key, joined).catch(() => undefined)
      }
      try {
        await joined.ready
      } catch (error) {
        stop()
        throw error
      }
      return { feed: joined, stop }
    },
    async stop() {
      await Promise.all([...feeds.values()].map((feed) => feed.stop()))
      feeds.clear()
    },
  }
}

function startFeed(bus: Bus, subjects: readonly string[], from: number): Feed {
  const listeners = new Set<() => void>()
  const stopping = new AbortController()
  const { signal } = stopping
  let entries: Pulled[] = []
  let bytes = 0
  let behindSeq = from
  let headSeq = from
  let isLost = false
  let reader: ChannelReader | undefined

  const open = async () => {
    const bounds = { maxMessages: AHEAD_MESSAGES, maxBytes: AHEAD_BYTES }
    reader = await createChannelReader(bus, { subjects, fromSeq: headSeq + 1, ...bounds })
    // Stopped while it was made: nobody would stop this one.
    if (signal.aborted) await reader.stop()
  }
  const ready = open()

  function tell(): void {
    for (const listener of listeners) listener()
  }

  function keep(batch: readonly Pulled[]): void {
    for (const pulled of batch) {
      entries.push(pulled)
      bytes += pulled.msg.data.length
      headSeq = pulled.seq
    }
    while (entries.length > 1 && (entries.length > WINDOW_MESSAGES || bytes > WINDOW_BYTES)) {
      const oldest = entries.shift()
      bytes -= oldest?.msg.data.length ?? 0
      behindSeq = oldest?.seq ?? behindSeq
    }
  }

  async function readOn(): Promise<void> {
    while (reader && !signal.aborted) {
      keep(await reader.next())
      tell()
      // Those who follow are to write, and everybody else to get a turn, before the next part comes.
      await nextTurn()
    }
  }

  /** After the order could not be vouched for any more: goes on where it stands, if the stream still has that. */
  async function comeBack(): Promise<void> {
    await reader?.stop()
    reader = undefined
    await sleep(RETRY_MS, undefined, { signal })
    const manager = await bus.connection.jetstreamManager({ checkAPI: false })
    const { first_seq: first, last_seq: last } = (await manager.streams.info(MESSAGES_STREAM)).state
    if (last < headSeq) {
      isLost = true
      return tell()
    }
    if (first > headSeq + 1) {
      // Whoever stands where we stood is behind now, and is told of the gap on the way.
      ;[entries, bytes, behindSeq, headSeq] = [[], 0, first - 1, first - 1]
      tell()
    }
    await open()
  }

  async function run(): Promise<void> {
    await ready
    while (!signal.aborted && !isLost) {
      try {
        await (reader ? readOn() : comeBack())
      } catch {
        // The bus was away, or the server has lost the consumer.
        await reader?.stop()
        reader = undefined
      }
    }
  }
  run().catch((error: unknown) => bus.log.debug({ err: error }, 'live feed not begun'))

  return {
    ready,
    listeners,
    get behindSeq() {
      return behindSeq
    },
    get isLost() {
      return isLost
    },
    find(fromSeq) {
      if (fromSeq <= behindSeq) return 'behind'
      const last = entries.at(-1)
      if (!last || last.seq < fromSeq) return undefined
      return entries[firstAtOrBehind(entries, fromSeq)]
    },
    async stop() {
      stopping.abort()
      await reader?.stop()
    },
  }
}

function firstAtOrBehind(entries: readonly Pulled[], seq: number): number {
  let [low, high] = [0, entries.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((entries[middle]?.seq ?? Infinity) < seq) low = middle + 1
    else high = middle
  }
  return low
}
