import { sql } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'
import { QueryTimeout } from './errors.ts'

/** How much of its time a request may have used before Postgres is told that less is left: the usual one is not so slow. */
const UNNOTICED = 0.05

/** One limit for all that a request waits for and asks. The database's own is one of each statement. */
export interface Deadline {
  remainingMs(): number
  /**
   * Gives the following statement of the transaction what is left, at most.
   *
   * @throws {QueryTimeout} nothing is left
   */
  apply(trx: Db): Promise<void>
}

export function createDeadline(timeoutMs: number): Deadline {
  const endsAt = performance.now() + timeoutMs
  let told = timeoutMs
  const remainingMs = () => Math.max(0, endsAt - performance.now())
  return {
    remainingMs,
    async apply(trx) {
      const remaining = Math.floor(remainingMs())
      // To Postgres zero is no limit at all.
      if (remaining === 0) throw new QueryTimeout()
      if (told - remaining < timeoutMs * UNNOTICED) return
      told = remaining
      await sql`select set_config('statement_timeout', ${String(remaining)}, true)`.execute(trx)
    },
  }
}
