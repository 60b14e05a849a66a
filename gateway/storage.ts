import type { Bus } from '../platform/bus/connect.ts'
import type { Publisher } from '../platform/bus/publisher.ts'
import type { Db } from '../platform/db/connect.ts'
import type { Lifecycle } from '../platform/lifecycle.ts'
import type { Logger } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { showStreams } from './stream-metrics.ts'
import type { SeriesLimits } from '../services/messages/series-room.ts'
import { startMaintenance } from '../services/messages/maintenance.ts'
import { startPurge } from '../services/messages/purge.ts'
import { createWriterMetrics } from '../services/messages/writer-metrics.ts'
import { startWriter } from '../services/messages/writer.ts'

export interface StorageParts {
  readonly life: Lifecycle
  readonly log: Logger
  readonly bus: Bus
  readonly publisher: Publisher
  readonly databaseUrl: string
  readonly db: Db
  readonly metrics: Metrics
  readonly replayWindowS: number
  readonly retentionDays: number
  readonly seriesLimits: SeriesLimits
}

/** The role `writer`: moves the stream into Postgres, and removes from both what need not stay. */
export function startStorage({
  life,
  replayWindowS,
  retentionDays,
  metrics: shown,
  ...parts
}: StorageParts): void {
  const streams = showStreams(shown, parts.bus)
  life.onStop('stream metrics', () => streams.stop())
  const metrics = createWriterMetrics(shown.registry)
  const writer = startWriter({ ...parts, metrics })
  life.onStop('writer', () => writer.stop())
  shown.gauge('sluice_writer_active', 'Whether this process is the one that stores messages', () =>
    writer.position() ? 1 : 0,
  )
  const purge = startPurge({ ...parts, metrics, replayWindowS, position: () => writer.position() })
  life.onStop('purge', () => purge.stop())
  const maintenance = startMaintenance({ ...parts, retentionDays })
  life.onStop('maintenance', () => maintenance.stop())
}
