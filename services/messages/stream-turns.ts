import { createChannelReader } from '../../platform/bus/channel-reader.ts'
import type { ChannelReader } from '../../platform/bus/channel-reader.ts'
import type { Bus } from '../../platform/bus/connect.ts'
import type { Pulled } from '../../platform/bus/puller.ts'

/** Turns at a time, whoever wants them. */
const MAX_TURNS = 4
/** Of one turn, and of what the server may send ahead for each subject; a larger message comes alone. */
const MAX_MESSAGES = 1_000
const MAX_BYTES = 524_288
/** A silence of the stream as long as this means that what was still to come has been removed in the meantime. */
const IDLE_MS = 10_000

export interface TurnRequest {
  /** As of a {@link ChannelReader}. */
  readonly subjects: readonly string[]
  readonly fromSeq: number
  /** What lies behind it is not waited for, though it may come. */
  readonly toSeq: number
  /** Gives up; then the turn rejects. */
  readonly signal: AbortSignal
}

/**
 * What is in the stream already, read in bounded parts and few at a time: between two of its turns a reader holds nothing
 * of NATS, however slow its caller is, and any number of readers bring no more over the connection than a few.
 */
export interface StreamTurns {
  /**
   * The next messages on the subjects, in order and without a gap; none when there is nothing behind the place.
   *
   * Rejects when the bus is away, or when what was there has been removed.
   */
  read(request: TurnRequest): Promise<readonly Pulled[]>
}

export function createStreamTurns(bus: Bus): StreamTurns {
  const waiting: (() => void)[] = []
  let running = 0

  async function begin(): Promise<void> {
    if (running < MAX_TURNS) running += 1
    else await new Promise<void>((resolve) => waiting.push(resolve))
  }

  function end(): void {
    const next = waiting.shift()
    if (next) next()
    else running -= 1
  }

  async function readNow({ subjects, fromSeq, toSeq, signal }: TurnRequest): Promise<readonly Pulled[]> {
    const bounds = { maxMessages: MAX_MESSAGES, maxBytes: MAX_BYTES }
    const reader = await createChannelReader(bus, { subjects, fromSeq, ...bounds })
    try {
      return await collect(reader, toSeq, signal)
    } finally {
      await reader.stop()
    }
  }

  return {
    async read(request) {
      await begin()
      try {
        request.signal.throwIfAborted()
        return await readNow(request)
      } finally {
        end()
      }
    },
  }
}

async function collect(
  reader: ChannelReader,
  toSeq: number,
  signal: AbortSignal,
): Promise<readonly Pulled[]> {
  const messages: Pulled[] = []
  const wanted = Math.min(reader.pending, MAX_MESSAGES)
  let bytes = 0
  // Wakes the reader; nobody waits for its end but the one who made it.
  const stop = () => void reader.stop().catch(() => undefined)
  const idle = setTimeout(stop, IDLE_MS)
  signal.addEventListener('abort', stop)
  try {
    while (messages.length < wanted && bytes < MAX_BYTES && (messages.at(-1)?.seq ?? 0) < toSeq) {
      for (const pulled of await reader.next()) {
        messages.push(pulled)
        bytes += pulled.msg.data.length
      }
      idle.refresh()
    }
  } catch (error) {
    // What has come is in order, and behind it the next turn begins.
    if (messages.length === 0 || signal.aborted) throw error
  } finally {
    clearTimeout(idle)
    signal.removeEventListener('abort', stop)
  }
  return messages
}
