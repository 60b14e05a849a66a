import type { JetStreamManager } from 'nats'
import type { Bus } from './connect.ts'
import { createPuller } from './puller.ts'
import type { Pulled, Puller } from './puller.ts'
import { findNextStored } from './stored.ts'
import { MESSAGES_STREAM } from './streams.ts'

/** What arrives while nobody asks is not waited for: whoever follows live wants it now. */
const LINGER_MS = 0

export interface ChannelReaderOptions {
  /** Subjects that never match the same message, such as a channel's own and all below it. */
  readonly subjects: readonly string[]
  /** First sequence number wanted. */
  readonly fromSeq: number
  /** Messages and bytes that wait at the most, for each subject. */
  readonly maxMessages: number
  readonly maxBytes: number
}

/** Reads some subjects of the stream `messages` from a place on: in the stream's order, without a gap or a repeat. */
export interface ChannelReader {
  /** Messages that were there to bring at the beginning. */
  readonly pending: number
  /**
   * Resolves with what has come, one message at least.
   *
   * Rejects when the order can no longer be vouched for, or after {@link stop}: begin anew behind what you have.
   */
  next(): Promise<Pulled[]>
  stop(): Promise<void>
}

interface Lane {
  readonly subject: string
  readonly puller: Puller
  waiting: Pulled[]
  arrival: Promise<void> | undefined
}

/**
 * A consumer of nats-server 2.9.10 has one filter, and a channel is two subjects. So each subject has a consumer of its own,
 * and a message is passed on only when it is certain that no other subject has an earlier one.
 */
export async function createChannelReader(bus: Bus, options: ChannelReaderOptions): Promise<ChannelReader> {
  const { subjects, fromSeq, maxMessages, maxBytes } = options
  const manager = await bus.connection.jetstreamManager({ checkAPI: false })
  const lanes: Lane[] = []
  let passedSeq = fromSeq - 1
  let broken: Error | undefined

  const stop = async () => {
    await Promise.all(lanes.map(({ puller }) => puller.stop()))
  }
  try {
    for (const subject of subjects) {
      const place = { stream: MESSAGES_STREAM, fromSeq, subject, maxMessages, maxBytes }
      lanes.push({ subject, puller: await createPuller(bus, place), waiting: [], arrival: undefined })
    }
  } catch (error) {
    await stop()
    throw error
  }

  /** Begins to wait for a lane that has nothing; never rejects, because it may come to nobody's mind for a while. */
  function listen(lane: Lane): Promise<void> {
    lane.arrival ??= lane.puller.next(LINGER_MS).then(
      (batch) => {
        lane.waiting = batch
        lane.arrival = undefined
      },
      (error: Error) => {
        broken ??= error
      },
    )
    return lane.arrival
  }

  function check(): void {
    if (broken) throw broken
  }

  return {
    pending: lanes.reduce((sum, { puller }) => sum + puller.pending, 0),
    async next() {
      for (;;) {
        const silent = lanes.filter(({ waiting }) => waiting.length === 0)
        const arrivals = silent.map(listen)
        if (silent.length === lanes.length) await Promise.race(arrivals)
        check()
        const known = await knownUpTo(manager, lanes, passedSeq)
        const batch = take(lanes, known)
        const last = batch.at(-1)
        if (last) {
          passedSeq = last.seq
          return batch
        }
        // Somebody was silent who had an earlier message on the way; it may have come in the meantime.
        const owing = lanes.filter(({ waiting }) => waiting.length === 0)
        if (owing.length > 0) await Promise.race(owing.map(listen))
        check()
      }
    },
    stop,
  }
}

/** The place up to which the lanes hold everything that is in the stream. */
async function knownUpTo(
  manager: JetStreamManager,
  lanes: readonly Lane[],
  passedSeq: number,
): Promise<number> {
  // What is in the stream before this moment is there for the question, too.
  const newest = Math.max(...lanes.map(({ waiting }) => waiting.at(-1)?.seq ?? 0))
  const bounds = lanes.map(async ({ waiting, subject }) => {
    const last = waiting.at(-1)
    if (last) return last.seq
    const earlier = await findNextStored(manager, MESSAGES_STREAM, subject, passedSeq + 1)
    return earlier ? earlier.seq - 1 : newest
  })
  return Math.min(...(await Promise.all(bounds)))
}

/** Takes what lies at or before a place out of the lanes, in order. */
function take(lanes: readonly Lane[], upTo: number): Pulled[] {
  const batch: Pulled[] = []
  for (const lane of lanes) {
    const later = lane.waiting.findIndex(({ seq }) => seq > upTo)
    const count = later === -1 ? lane.waiting.length : later
    batch.push(...lane.waiting.splice(0, count))
  }
  return batch.sort((a, b) => a.seq - b.seq)
}
