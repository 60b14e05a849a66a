import { isTouched } from '../adapters/authority.ts'
import type { Authority } from '../adapters/authority.ts'
import type { Traffic } from '../adapters/traffic.ts'
import type { Bus } from '../platform/bus/connect.ts'
import type { Publisher } from '../platform/bus/publisher.ts'
import type { Config } from '../platform/config.ts'
import type { Endpoint } from '../platform/http/endpoint.ts'
import type { Logger } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { deadLetterEndpoints } from '../services/messages/dead-letter-routes.ts'
import { createDeadLetters } from '../services/messages/dead-letter-service.ts'
import { createGuard } from '../services/messages/guard.ts'
import type { WatchPermission } from '../services/messages/guard.ts'
import { liveEndpoints } from '../services/messages/live-routes.ts'
import { createLive } from '../services/messages/live.ts'
import { replayEndpoints } from '../services/messages/replay-routes.ts'
import { createReplays } from '../services/messages/replay.ts'
import { messageEndpoints } from '../services/messages/routes.ts'
import { createStreamTurns } from '../services/messages/stream-turns.ts'
import type { Messages } from '../services/messages/service.ts'
import { createSlowReaders } from '../services/messages/slow-readers.ts'

/** Replays under way at once. What they read is bounded besides, so this is about memory. */
const REPLAYS = { total: 32, perDomain: 8, perCaller: 4 }

export interface ReadingParts {
  readonly config: Config
  readonly log: Logger
  readonly metrics: Metrics
  readonly bus: Bus
  /** For reading the stream on behalf of callers. */
  readonly streamBus: Bus
  readonly publisher: Publisher
  readonly authority: Pick<Authority, 'onChange'>
  readonly traffic: Pick<Traffic, 'noteDelivery'>
  readonly messages: Messages
}

export interface Reading {
  readonly endpoints: readonly Endpoint[]
  /** Ends the answers that would last. */
  stop(): Promise<void>
}

/** The role `reader`: stored messages out of Postgres, and those still in the stream. */
export function startReading(parts: ReadingParts): Reading {
  const { config, log, metrics, bus, streamBus, publisher, authority, traffic, messages } = parts
  const { access, unread } = messages
  const dropped = createSlowReaders(log, metrics)
  metrics.gauge('sluice_http_unread_bytes', 'Pages of messages that wait for their readers', () =>
    unread.bytes(),
  )
  // A service knows no adapters; what changes a permission is known there.
  const watchPermission: WatchPermission = (admission, onChange) =>
    authority.onChange((change) => {
      if (isTouched(change, admission)) onChange()
    })
  const guard = createGuard({ letIn: (...asked) => access.admitLive(...asked), watchPermission, log })
  const storedGuard = createGuard({ letIn: access.admit, watchPermission, log })
  const limits = {
    total: config.maxLiveReaders,
    perDomain: config.maxLiveReadersPerDomain,
    perCaller: config.maxLiveReadersPerClient,
  }
  const turns = createStreamTurns(streamBus)
  const live = createLive({
    bus: streamBus,
    turns,
    guard,
    log,
    metrics,
    onDelivered: (clientId) => traffic.noteDelivery(clientId),
    limits,
  })
  const deadLetters = createDeadLetters({ bus, publisher, access, unread })
  const replays = createReplays({ bus: streamBus, turns, guard, metrics, limits: REPLAYS })
  return {
    endpoints: [
      ...messageEndpoints({
        messages,
        guard: storedGuard,
        dropped,
        exportStallMs: config.exportStallS * 1_000,
      }),
      ...liveEndpoints(live),
      ...deadLetterEndpoints(deadLetters, { unread, dropped }),
      ...replayEndpoints({ replays, bus: streamBus }),
    ],
    async stop() {
      replays.stop()
      await live.stop()
      guard.stop()
      storedGuard.stop()
    },
  }
}
