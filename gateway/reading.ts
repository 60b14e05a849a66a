import { isTouched } from '../adapters/authority.ts'
import type { Authority } from '../adapters/authority.ts'
import type { Bus } from '../platform/bus/connect.ts'
import type { Publisher } from '../platform/bus/publisher.ts'
import type { Config } from '../platform/config.ts'
import type { Endpoint } from '../platform/http/endpoint.ts'
import type { Logger } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { liveEndpoints } from '../services/messages/live-routes.ts'
import { createLive } from '../services/messages/live.ts'
import { messageEndpoints } from '../services/messages/routes.ts'
import type { Messages } from '../services/messages/service.ts'

export interface ReadingParts {
  readonly config: Config
  readonly log: Logger
  readonly metrics: Metrics
  readonly bus: Bus
  readonly publisher: Publisher
  readonly authority: Pick<Authority, 'onChange'>
  readonly messages: Messages
}

export interface Reading {
  readonly endpoints: readonly Endpoint[]
  /** Ends the answers that would last. */
  stop(): Promise<void>
}

/** The role `reader`: stored messages out of Postgres, and those still in the stream. */
export function startReading({ config, log, metrics, bus, authority, messages }: ReadingParts): Reading {
  const live = createLive({
    bus,
    access: messages.access,
    // A service knows no adapters; what changes a permission is known there.
    watchPermission: (admission, onChange) =>
      authority.onChange((change) => {
        if (isTouched(change, admission)) onChange()
      }),
    log,
    metrics,
    maxTails: config.maxLiveReaders,
  })
  return {
    endpoints: [...messageEndpoints(messages), ...liveEndpoints(live)],
    stop: () => live.stop(),
  }
}
