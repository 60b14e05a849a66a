import { Unavailable } from '../errors.ts'
import { createLogLimit } from '../log-limit.ts'
import type { Bus } from './connect.ts'
import { readMessage } from './message.ts'
import type { Message } from './message.ts'
import { createPuller } from './puller.ts'
import { MESSAGES_STREAM } from './streams.ts'

/** A part in what comes on one subject of the stream. */
export interface StreamPart {
  /** Resolves when everything that is published from here on is on its way here; rejects when the stream cannot be read. */
  readonly ready: Promise<void>
  stop(): void
}

/**
 * Messages as the stream has them: in its order, each with its place, without a gap also across a lost connection. Slower
 * than the live feed, and for those who must be able to say where they stopped.
 */
export interface StreamFeed {
  /** All listeners of one subject share one reader. A listener that throws harms no other. */
  follow(subject: string, listener: (message: Message, seq: number) => void): StreamPart
  /** Everything on the subject up to this place has been handed over; `undefined` when nobody follows it. */
  positionOf(subject: string): number | undefined
  stop(): Promise<void>
}

interface Lane {
  readonly subject: string
  readonly listeners: Set<(message: Message, seq: number) => void>
  ready: Promise<void>
  position: number
  isStopped: boolean
  stop: () => Promise<void>
}

const RETRY_MS = 250

export function createStreamFeed(bus: Bus): StreamFeed {
  const lanes = new Map<string, Lane>()
  const limit = createLogLimit()

  function dispatch(lane: Lane, message: Message, seq: number): void {
    for (const listener of lane.listeners) {
      try {
        listener(message, seq)
      } catch (error) {
        bus.log.error({ err: error }, 'delivery of a message failed')
      }
    }
  }

  /** Reads until the order can no longer be vouched for. */
  async function read(lane: Lane, onReady: () => void): Promise<void> {
    const puller = await createPuller(bus, {
      stream: MESSAGES_STREAM,
      fromSeq: lane.position + 1,
      subject: lane.subject,
    })
    lane.stop = () => puller.stop()
    try {
      onReady()
      while (!lane.isStopped) {
        for (const { seq, msg } of await puller.next(0)) {
          const message = readMessage(msg)
          // First, so that who asks in the middle of it hears where we are.
          lane.position = seq
          if (message) dispatch(lane, message, seq)
        }
      }
    } finally {
      await puller.stop()
    }
  }

  /** From the newest place on the first time, later from where it stopped. */
  async function keepReading(
    lane: Lane,
    onReady: () => void,
    onFailed: (error: unknown) => void,
  ): Promise<void> {
    let isStarted = false
    let createdAt = ''
    while (!lane.isStopped) {
      try {
        // A request made now would be thrown away with the connection, and wait for its timeout.
        if (!bus.isConnected) throw new Unavailable('the bus is disconnected')
        const manager = await bus.connection.jetstreamManager({ checkAPI: false })
        const { created, state } = await manager.streams.info(MESSAGES_STREAM)
        // A stream that was lost and made anew counts from 1 again.
        if (!isStarted) lane.position = state.last_seq
        else if (created !== createdAt || state.last_seq < lane.position) lane.position = 0
        createdAt = created
        await read(lane, () => {
          isStarted = true
          onReady()
        })
      } catch (error) {
        if (lane.isStopped) return
        if (!isStarted) return onFailed(error)
        const leftOut = limit.admit('interrupted')
        if (leftOut !== undefined) bus.log.warn({ err: error, leftOut }, 'reading of the stream interrupted')
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
  }

  function open(subject: string): Lane {
    const lane: Lane = {
      subject,
      listeners: new Set(),
      ready: Promise.resolve(),
      position: 0,
      isStopped: false,
      stop: () => Promise.resolve(),
    }
    lane.ready = new Promise((resolve, reject) => {
      void keepReading(lane, resolve, (error) => {
        void close(lane)
        reject(error instanceof Error ? error : new Error(String(error)))
      })
    })
    // Who does not wait for it has no use for the rejection either.
    lane.ready.catch(() => undefined)
    lanes.set(subject, lane)
    return lane
  }

  async function close(lane: Lane): Promise<void> {
    lane.isStopped = true
    if (lanes.get(lane.subject) === lane) lanes.delete(lane.subject)
    await lane.stop().catch((error: unknown) => bus.log.debug({ err: error }, 'consumer not removed'))
  }

  return {
    follow(subject, listener) {
      const lane = lanes.get(subject) ?? open(subject)
      const own = (message: Message, seq: number): void => listener(message, seq)
      lane.listeners.add(own)
      return {
        ready: lane.ready,
        stop() {
          if (lane.listeners.delete(own) && lane.listeners.size === 0) void close(lane)
        },
      }
    },
    positionOf: (subject) => lanes.get(subject)?.position,
    async stop() {
      await Promise.all([...lanes.values()].map(close))
    },
  }
}
