import type { Db } from '../../platform/db/connect.ts'
import type { Logger } from '../../platform/log.ts'
import { removeOrphans } from './orphans.ts'
import { createAhead } from './partitions.ts'
import { removeExpired } from './retention.ts'
import { tidyWeeks } from './tidy.ts'

const INTERVAL_MS = 3_600_000

export interface MaintenanceOptions {
  readonly db: Db
  /** Days that messages are kept unless their domain says otherwise; 0 for ever. */
  readonly retentionDays: number
  readonly log: Logger
}

/**
 * Makes partitions before they are needed and removes what has expired: at once, and every hour from then on. Several
 * processes may do so: each step locks what it works on.
 */
export function startMaintenance({ db, retentionDays, log }: MaintenanceOptions): { stop(): Promise<void> } {
  const abort = new AbortController()
  let running: Promise<void> | undefined
  let lastSeries = 0

  async function maintain(): Promise<void> {
    try {
      const now = Date.now() / 1_000
      const created = await createAhead(db, now)
      if (created > 0) log.info({ created }, 'partitions for coming weeks made')
      const removed = await removeExpired(db, retentionDays, now, abort.signal)
      if (removed.weeks + removed.readings + removed.json > 0) log.info(removed, 'expired messages removed')
      const orphans = await removeOrphans(db, lastSeries, abort.signal)
      lastSeries = orphans.last
      if (orphans.removed > 0) log.info({ removed: orphans.removed }, 'series without readings removed')
      const tidied = await tidyWeeks(db, now, abort.signal)
      if (tidied > 0) log.info({ tidied }, 'indexes of finished weeks made anew')
    } catch (error) {
      // Nothing is lost by it: readings of weeks without a partition go to the last one, and the next hour comes.
      if (!abort.signal.aborted) log.warn({ err: error }, 'upkeep of stored messages failed')
    }
  }

  const run = () => {
    running ??= maintain().finally(() => (running = undefined))
  }
  run()
  const timer = setInterval(run, INTERVAL_MS)
  timer.unref()
  return {
    async stop() {
      clearInterval(timer)
      abort.abort()
      await running
    },
  }
}
