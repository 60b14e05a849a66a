import type { Bus } from '../platform/bus/connect.ts'
import type { Publisher } from '../platform/bus/publisher.ts'
import type { Db } from '../platform/db/connect.ts'
import type { Lifecycle } from '../platform/lifecycle.ts'
import type { Logger } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
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
}

/** The role `writer`: moves the stream into Postgres, and removes from both what need not stay. */
export function startStorage({
  life,
  replayWindowS,
  retentionDays,
  metrics: { registry },
  ...parts
}: StorageParts): void {
  const metrics = createWriterMetrics(registry)
  const writer = startWriter({ ...parts, metrics })
  life.onStop('writer', () => writer.stop())
  const purge = startPurge({ ...parts, metrics, replayWindowS, position: () => writer.position() })
  life.onStop('purge', () => purge.stop())
  const maintenance = startMaintenance({ ...parts, retentionDays })
  life.onStop('maintenance', () => maintenance.stop())
}
