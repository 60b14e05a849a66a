import type { Bus } from '../../platform/bus/connect.ts'
import { findFirstSince } from '../../platform/bus/stored.ts'
import { MESSAGES_STREAM } from '../../platform/bus/streams.ts'
import type { Logger } from '../../platform/log.ts'
import type { Position } from './store.ts'
import type { WriterMetrics } from './writer-metrics.ts'

const INTERVAL_MS = 10_000
/** From here on room for new messages counts for more than replaying old ones, which are in the database anyway. */
const FULL = 0.75

export interface PurgeOptions {
  readonly bus: Bus
  readonly position: () => Position | undefined
  /** Seconds for which stored messages stay in the stream, for subscribers that come back. */
  readonly replayWindowS: number
  readonly log: Logger
  readonly metrics: WriterMetrics
}

/**
 * Removes messages from the stream that are stored and older than the replay window; when the stream is nearly full, younger
 * ones too. Nothing ahead of the stored position is ever removed.
 */
export function startPurge(options: PurgeOptions): { stop(): Promise<void> } {
  let running: Promise<void> | undefined
  let isFailing = false

  async function purge(): Promise<void> {
    const position = options.position()
    if (!position || !options.bus.isConnected) return
    try {
      await purgeBehind(position, options)
      isFailing = false
    } catch (error) {
      if (!isFailing) options.log.warn({ err: error }, 'stored messages could not be removed from the stream')
      isFailing = true
    }
  }

  const timer = setInterval(() => {
    running ??= purge().finally(() => (running = undefined))
  }, INTERVAL_MS)
  timer.unref()
  return {
    async stop() {
      clearInterval(timer)
      await running
    },
  }
}

async function purgeBehind(
  position: Position,
  { bus, replayWindowS, log, metrics }: PurgeOptions,
): Promise<void> {
  const manager = await bus.connection.jetstreamManager({ checkAPI: false })
  const { state, config, created } = await manager.streams.info(MESSAGES_STREAM)
  if (state.messages === 0) return
  // The position is one in another stream, or in one whose end the server has lost: it says nothing about what is stored.
  if (created !== position.createdAt || position.seq > state.last_seq) return
  const isNearlyFull = config.max_bytes > 0 && state.bytes > FULL * config.max_bytes
  const firstYoung = isNearlyFull
    ? Infinity
    : await findFirstSince(manager, MESSAGES_STREAM, Date.now() - replayWindowS * 1_000)
  // `seq` of a purge is the first that stays.
  const firstToStay = Math.min(firstYoung, position.seq + 1)
  if (firstToStay <= state.first_seq) return
  const { purged } = await manager.streams.purge(MESSAGES_STREAM, { seq: firstToStay })
  metrics.purged.inc(purged)
  if (isNearlyFull)
    log.warn({ purged, bytes: state.bytes }, 'stream was nearly full: stored messages left it early')
}
