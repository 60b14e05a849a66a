import { once } from 'node:events'
import type { Readable } from 'node:stream'
import type { Bus } from '../../platform/bus/connect.ts'
import { MESSAGES_STREAM } from '../../platform/bus/streams.ts'
import { Forbidden, NotFound, Unauthenticated, Unavailable } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'
import type { Metrics } from '../../platform/metrics.ts'
import { createRecheckQueue } from '../../platform/recheck.ts'
import type { Admission, ChannelAccess, ChannelReference, Reader } from './access.ts'
import { liveSubjects } from './live-query.ts'
import type { LiveFilter, Place } from './live-query.ts'
import { openReader, startTail } from './tail.ts'
import type { Tail } from './tail.ts'

/** Events tell of most losses at once; this finds the rest, such as tokens that have come to their end. */
const RECHECK_MS = 30_000

/** Calls back when somebody may have lost what they were let in with. Returns the removal. */
export type WatchPermission = (admission: Admission, onChange: () => void) => () => void

export interface LiveParts {
  readonly bus: Bus
  readonly access: ChannelAccess
  readonly watchPermission: WatchPermission
  readonly log: Logger
  readonly metrics: Pick<Metrics, 'connections' | 'delivered' | 'refused'>
  readonly maxTails: number
  readonly stallMs?: number
}

export interface LiveRequest {
  /** Who calls; asked again as long as the answer lasts. */
  readonly readReader: () => Promise<Reader>
  readonly reference: ChannelReference
  readonly filter: LiveFilter
  /** `undefined` begins with what comes next. */
  readonly place: Place | undefined
}

interface OpenTail {
  readonly tail: Tail
  readonly request: LiveRequest
  readonly admission: Admission
}

export type Live = ReturnType<typeof createLive>

/** Messages of a channel as they come, for as long as the caller may and wants. */
export function createLive(parts: LiveParts) {
  const { bus, access, watchPermission, log, metrics, maxTails, stallMs = 30_000 } = parts
  const tails = new Set<OpenTail>()
  const open = metrics.connections('sse')
  const delivered = metrics.delivered('sse')
  const stalled = metrics.refused('sse', 'slow')
  let isStopping = false

  const recheck = createRecheckQueue<OpenTail>({ check, log, concurrency: 8 })
  const timer = setInterval(() => {
    for (const one of tails) recheck.add(one)
  }, RECHECK_MS)
  timer.unref()

  /** Ends the tail when whoever opened it could not open it any more. */
  async function check({ tail, request, admission }: OpenTail): Promise<void> {
    try {
      const { channelId, principal } = await access.admitLive(await request.readReader(), request.reference)
      if (channelId === admission.channelId && principal.id === admission.principal.id) return
    } catch (error) {
      const isRefusal =
        error instanceof Unauthenticated || error instanceof Forbidden || error instanceof NotFound
      if (!isRefusal) throw error
    }
    tail.end({ type: 'end', data: { error: 'revoked', message: 'the permission to read was taken away' } })
  }

  function keep(tail: Tail, request: LiveRequest, admission: Admission): void {
    const one = { tail, request, admission }
    const unwatch = watchPermission(admission, () => recheck.add(one))
    tails.add(one)
    open.value += 1
    tail.body.once('close', () => {
      unwatch()
      tails.delete(one)
      open.value -= 1
    })
    // A change between the question and this line found nobody to ask.
    recheck.add(one)
  }

  return {
    /**
     * Begins a live answer.
     *
     * @throws {Unauthenticated} @throws {Forbidden} @throws {NotFound} as reading what is stored does
     * @throws {Unavailable} the bus is away, too many are open, or the gateway is stopping
     */
    async open(request: LiveRequest): Promise<Readable> {
      const admission = await access.admitLive(await request.readReader(), request.reference)
      if (isStopping) throw new Unavailable('the gateway is stopping')
      if (tails.size >= maxTails) throw new Unavailable('too many live readers')
      const subjects = liveSubjects(admission, request.filter)
      const { place, gap } = await findStart(bus, request.place)
      const reader = await fromBus(openReader(bus, subjects, place))
      const tail = startTail(reader, {
        bus,
        subjects,
        filter: request.filter,
        place,
        gap,
        stallMs,
        onDelivered: () => (delivered.value += 1),
        onStalled() {
          stalled.value += 1
          log.info({ channelId: admission.channelId }, 'slow live reader dropped')
        },
      })
      keep(tail, request, admission)
      if (isStopping) tail.end()
      return tail.body
    },

    /** Ends all of them; their readers come back, here or elsewhere, with the last id. */
    async stop(): Promise<void> {
      isStopping = true
      clearInterval(timer)
      recheck.stop()
      const closed = [...tails].map(({ tail }) => once(tail.body, 'close'))
      for (const { tail } of tails) tail.end()
      await Promise.all(closed)
    },
  }
}

/** Where in the stream to begin, and whether something is missing between there and the place that was asked for. */
async function findStart(bus: Bus, asked: Place | undefined) {
  const manager = await fromBus(bus.connection.jetstreamManager({ checkAPI: false }))
  const { state } = await fromBus(manager.streams.info(MESSAGES_STREAM))
  const end: Place = { seq: state.last_seq, record: Infinity }
  if (!asked) return { place: end, gap: undefined }
  // Ahead of the stream: that one was lost and made anew, and counts from 1 again.
  const isAhead = asked.seq > state.last_seq
  const isGone = asked.seq + 1 < state.first_seq
  if (!isAhead && !isGone) return { place: asked, gap: undefined }
  const place: Place = { seq: state.first_seq - 1, record: Infinity }
  return { place, gap: { first_available: state.first_seq } }
}

async function fromBus<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    throw new Unavailable('the bus does not answer', { cause: error })
  }
}
