import { once } from 'node:events'
import type { Readable } from 'node:stream'
import type { Bus } from '../../platform/bus/connect.ts'
import { MESSAGES_STREAM } from '../../platform/bus/streams.ts'
import { Unavailable } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'
import type { Metrics } from '../../platform/metrics.ts'
import { fromBus } from './errors.ts'
import type { Guard, LastingRequest } from './guard.ts'
import { liveSubjects } from './live-query.ts'
import type { LiveFilter, Place } from './live-query.ts'
import { openReader, startTail } from './tail.ts'
import type { Tail } from './tail.ts'

export interface LiveParts {
  readonly bus: Bus
  readonly guard: Guard
  readonly log: Logger
  readonly metrics: Pick<Metrics, 'connections' | 'delivered' | 'delivery' | 'refused'>
  /** A client was handed a message. */
  readonly onDelivered: (clientId: string) => void
  readonly maxTails: number
}

export interface LiveRequest extends LastingRequest {
  readonly filter: LiveFilter
  /** `undefined` begins with what comes next. */
  readonly place: Place | undefined
}

export type Live = ReturnType<typeof createLive>

/** A caller that takes nothing for this long is dropped. */
const STALL_MS = 30_000
/** Longer than all that is well takes; the replay window is hours. */
const LATE_MS = 10_000
const REVOKED = {
  type: 'end',
  data: { error: 'revoked', message: 'the permission to read was taken away, or the token has ended' },
}

/** Messages of a channel as they come, for as long as the caller may and wants. */
export function createLive({ bus, guard, log, metrics, onDelivered, maxTails }: LiveParts) {
  const tails = new Set<Tail>()
  const open = metrics.connections('sse')
  const delivered = metrics.delivered('sse')
  const onDelay = metrics.delivery('sse')
  const stalled = metrics.refused('sse', 'slow')
  const revoked = metrics.refused('sse', 'revoked')
  const tooMany = metrics.refused('sse', 'too_many_live_readers')
  let opening = 0
  let isStopping = false

  async function start(request: LiveRequest): Promise<Tail> {
    const admission = await guard.admit(request)
    const subjects = liveSubjects(admission, request.filter)
    const { place, gap, end } = await findStart(bus, request.place)
    const { kind, id } = admission.principal
    const tail = startTail(await fromBus(openReader(bus, subjects, place)), {
      bus,
      subjects,
      filter: request.filter,
      place,
      gap,
      stallMs: STALL_MS,
      lateMs: LATE_MS,
      onDelivered({ receivedAtNs }, seq) {
        delivered.value += 1
        if (kind === 'client') onDelivered(id)
        // What was there before had waited for the reader.
        if (seq > end) onDelay(receivedAtNs)
      },
      onStalled() {
        stalled.value += 1
        log.info({ channelId: admission.channelId }, 'slow live reader dropped')
      },
    })
    const release = guard.watch(request, admission, () => {
      revoked.value += 1
      tail.end(REVOKED)
    })
    tails.add(tail)
    open.value += 1
    tail.body.once('close', () => {
      release()
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
     * @throws {Unavailable} the bus is away, too many are open, or the gateway is stopping
     */
    async open(request: LiveRequest): Promise<Readable> {
      if (isStopping) throw new Unavailable('the gateway is stopping')
      if (tails.size + opening >= maxTails) {
        tooMany.value += 1
        throw new Unavailable('too many live readers')
      }
      opening += 1
      try {
        const tail = await start(request)
        if (isStopping) tail.end()
        return tail.body
      } finally {
        opening -= 1
      }
    },

    /** Ends all of them; their readers come back, here or elsewhere, with the last id. */
    async stop(): Promise<void> {
      isStopping = true
      const closed = [...tails].map(({ body }) => once(body, 'close'))
      for (const tail of tails) tail.end()
      await Promise.all(closed)
    },
  }
}

/** Where in the stream to begin, whether something is missing between there and the place that was asked for, and its end. */
async function findStart(bus: Bus, asked: Place | undefined) {
  const manager = await fromBus(bus.connection.jetstreamManager({ checkAPI: false }))
  const { state } = await fromBus(manager.streams.info(MESSAGES_STREAM))
  const end = state.last_seq
  if (!asked) return { place: { seq: end, record: Infinity }, gap: undefined, end }
  // Ahead of the stream: that one was lost and made anew, and counts from 1 again.
  const isAhead = asked.seq > end
  const isGone = asked.seq + 1 < state.first_seq
  if (!isAhead && !isGone) return { place: asked, gap: undefined, end }
  const place: Place = { seq: state.first_seq - 1, record: Infinity }
  return { place, gap: { first_available: state.first_seq }, end }
}
