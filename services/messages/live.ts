import { once } from 'node:events'
import type { Readable } from 'node:stream'
import type { Bus } from '../../platform/bus/connect.ts'
import { MESSAGES_STREAM } from '../../platform/bus/streams.ts'
import { Unavailable } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'
import type { Metrics } from '../../platform/metrics.ts'
import type { Admission } from './access.ts'
import { fromBus } from './errors.ts'
import { STALL_MS } from './guard.ts'
import type { Guard, LastingRequest } from './guard.ts'
import { liveSubjects } from './live-query.ts'
import type { LiveFilter, Place } from './live-query.ts'
import { createPlaces } from './places.ts'
import type { PlacesLimits } from './places.ts'
import { createLiveEventCache } from './live-events.ts'
import { createLiveFeeds } from './live-feed.ts'
import type { StreamTurns } from './stream-turns.ts'
import { startTail } from './tail.ts'
import type { Tail } from './tail.ts'

export interface LiveParts {
  readonly bus: Bus
  readonly turns: StreamTurns
  readonly guard: Guard
  readonly log: Logger
  readonly metrics: Pick<Metrics, 'connections' | 'delivered' | 'delivery' | 'refused'>
  /** A client was handed a message. */
  readonly onDelivered: (clientId: string) => void
  readonly limits: PlacesLimits
}

export interface LiveRequest extends LastingRequest {
  readonly filter: LiveFilter
  /** `undefined` begins with what comes next. */
  readonly place: Place | undefined
}

export type Live = ReturnType<typeof createLive>

const REVOKED = {
  type: 'end',
  data: { error: 'revoked', message: 'the permission to read was taken away, or the token has ended' },
}

/** Messages of a channel as they come, for as long as the caller may and wants. */
export function createLive({ bus, turns, guard, log, metrics, onDelivered, limits }: LiveParts) {
  const tails = new Set<Tail>()
  const sources = { bus, turns, feeds: createLiveFeeds(bus), cache: createLiveEventCache() }
  const places = createPlaces('live_readers', limits, (reason) => metrics.refused('sse', reason))
  const open = metrics.connections('sse')
  const delivered = metrics.delivered('sse')
  const onDelay = metrics.delivery('sse')
  const revoked = metrics.refused('sse', 'revoked')
  const stalled = metrics.refused('sse', 'slow')
  let isStopping = false

  async function start(request: LiveRequest): Promise<Tail> {
    const admission = await guard.admit(request)
    const leave = places.take(admission)
    try {
      return await startAt(request, admission, leave)
    } catch (error) {
      leave()
      throw error
    }
  }

  async function startAt(request: LiveRequest, admission: Admission, leave: () => void): Promise<Tail> {
    const subjects = liveSubjects(admission, request.filter)
    const start = await findStart(bus, request.place)
    const { kind, id } = admission.principal
    const starting = startTail({
      ...sources,
      ...start,
      subjects,
      filter: request.filter,
      stallMs: STALL_MS,
      onDelivered({ seq, receivedAtNs }) {
        delivered.value += 1
        if (kind === 'client') onDelivered(id)
        // What was there before had waited for the reader.
        if (seq > start.endSeq) onDelay(receivedAtNs)
      },
      onStalled() {
        stalled.value += 1
        log.info({ channelId: admission.channelId }, 'slow live reader dropped')
      },
    })
    const tail = await fromBus(starting)
    const release = guard.watch(request, admission, () => {
      revoked.value += 1
      tail.end(REVOKED)
    })
    tails.add(tail)
    open.value += 1
    tail.body.once('close', () => {
      release()
      leave()
      tails.delete(tail)
      open.value -= 1
    })
    return tail
  }

  return {
    /**
     * Begins a live answer.
     *
     * @throws {Unauthenticated} @throws {Forbidden} @throws {NotFound} as reading what is stored does
     * @throws {RateLimited} the caller or the domain has as many as it may
     * @throws {Unavailable} the bus is away, too many are open in the process, or the gateway is stopping
     */
    async open(request: LiveRequest): Promise<Readable> {
      if (isStopping) throw new Unavailable('the gateway is stopping')
      const tail = await start(request)
      if (isStopping) tail.end()
      return tail.body
    },

    /** Ends all of them; their readers come back, here or elsewhere, with the last id. */
    async stop(): Promise<void> {
      isStopping = true
      const closed = [...tails].map(({ body }) => once(body, 'close'))
      for (const tail of tails) tail.end()
      await Promise.all(closed)
      await sources.feeds.stop()
    },
  }
}

/** Where in the stream to begin, and whether something is missing between there and the place that was asked for. */
async function findStart(bus: Bus, asked: Place | undefined) {
  const manager = await fromBus(bus.connection.jetstreamManager({ checkAPI: false }))
  const { state } = await fromBus(manager.streams.info(MESSAGES_STREAM))
  const endSeq = state.last_seq
  if (!asked) return { place: { seq: endSeq, record: Infinity }, gap: undefined, endSeq }
  // Ahead of the stream: that one was lost and made anew, and counts from 1 again.
  const isAhead = asked.seq > state.last_seq
  const isGone = asked.seq + 1 < state.first_seq
  if (!isAhead && !isGone) return { place: asked, gap: undefined, endSeq }
  const place: Place = { seq: state.first_seq - 1, record: Infinity }
  return { place, gap: { first_available: state.first_seq }, endSeq }
}
