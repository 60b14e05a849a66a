import { setTimeout as sleep } from 'node:timers/promises'
import type { Db } from '../../platform/db/connect.ts'
import type { Logger } from '../../platform/log.ts'
import { markArrivals, removeFuture } from './future-retention.ts'
import { removeOrphans } from './orphans.ts'
import { createAhead } from './partitions.ts'
import { dropExpiredWeeks, removeExpiredDays } from './retention.ts'
import { tidyWeeks } from './tidy.ts'

const INTERVAL_MS = 3_600_000
/** What fails is tried again after this, then after twice as long, and so on until it is its turn anyway. */
const RETRY_MS = 60_000

export interface MaintenanceOptions {
  readonly db: Db
  /** Days that messages are kept unless their domain says otherwise; 0 for ever. */
  readonly retentionDays: number
  readonly log: Logger
  readonly retryMs?: number
}

interface Step {
  readonly name: string
  run(): Promise<void>
}

/**
 * Makes partitions before they are needed and removes what has expired: at once, and every hour from then on. Several
 * processes may do so: each step locks what it works on. A step that fails, because somebody reads for long what it must
 * lock, keeps none of the others from theirs.
 */
export function startMaintenance(options: MaintenanceOptions): { stop(): Promise<void> } {
  const { log, retryMs = RETRY_MS } = options
  const abort = new AbortController()
  const steps = createSteps(options, abort.signal)

  /** @returns those that failed */
  async function perform(due: readonly Step[]): Promise<Step[]> {
    const failed: Step[] = []
    for (const step of due) {
      if (abort.signal.aborted) break
      try {
        await step.run()
      } catch (error) {
        if (abort.signal.aborted) break
        failed.push(step)
        // Nothing is lost by it: readings of weeks without a partition go to the last one, and it is tried again.
        log.warn({ err: error, step: step.name }, 'upkeep of stored messages failed')
      }
    }
    return failed
  }

  async function run(): Promise<void> {
    while (!abort.signal.aborted) {
      const nextRoundMs = Date.now() + INTERVAL_MS
      let failed = await perform(steps)
      for (let waitMs = retryMs; failed.length > 0 && Date.now() + waitMs < nextRoundMs; waitMs *= 2) {
        if (!(await pause(waitMs))) return
        failed = await perform(failed)
      }
      if (!(await pause(nextRoundMs - Date.now()))) return
    }
  }

  /** @returns false when it was ended by the stop */
  const pause = (ms: number) =>
    sleep(Math.max(0, ms), true, { signal: abort.signal, ref: false }).catch(() => false)

  const running = run()
  return {
    async stop() {
      abort.abort()
      await running
    },
  }
}

function createSteps({ db, retentionDays, log }: MaintenanceOptions, signal: AbortSignal): Step[] {
  let lastSeries = 0
  const now = () => Date.now() / 1_000
  return [
    {
      name: 'weeks to come',
      async run() {
        const created = await createAhead(db, now())
        if (created > 0) log.info({ created }, 'partitions for coming weeks made')
      },
    },
    {
      name: 'expired weeks',
      async run() {
        const weeks = await dropExpiredWeeks(db, retentionDays, now())
        if (weeks > 0) log.info({ weeks }, 'expired weeks removed')
      },
    },
    {
      name: 'expired days',
      async run() {
        const removed = await removeExpiredDays(db, retentionDays, now(), signal)
        if (removed.readings + removed.json > 0) log.info(removed, 'expired messages removed')
      },
    },
    {
      name: 'expired readings of the future',
      async run() {
        await markArrivals(db, now())
        const removed = await removeFuture(db, retentionDays, now(), signal)
        if (removed > 0) log.info({ removed }, 'expired readings of times to come removed')
      },
    },
    {
      name: 'series without readings',
      async run() {
        const { last, removed } = await removeOrphans(db, lastSeries, signal)
        lastSeries = last
        if (removed > 0) log.info({ removed }, 'series without readings removed')
      },
    },
    {
      name: 'indexes of finished weeks',
      async run() {
        const tidied = await tidyWeeks(db, now(), signal)
        if (tidied > 0) log.info({ tidied }, 'indexes of finished weeks made anew')
      },
    },
  ]
}
