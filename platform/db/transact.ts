import { DatabaseError } from 'pg'
import type { Db, Trx } from './connect.ts'

const ATTEMPTS = 4
/** Deadlock detected, serialization failure (PostgreSQL manual, appendix A, class 40): nothing was done, and again may do. */
const RETRIABLE: ReadonlySet<string | undefined> = new Set(['40P01', '40001'])

/**
 * A transaction that is tried again when the database ended it in favour of another: two requests that take the same things
 * in different orders both get their turn.
 *
 * @param body runs once an attempt, so it must do nothing but use the transaction
 */
export async function transact<T>(db: Db, body: (trx: Trx) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await db.transaction().execute(body)
    } catch (error) {
      const isRetriable = error instanceof DatabaseError && RETRIABLE.has(error.code)
      if (!isRetriable || attempt === ATTEMPTS) throw error
    }
  }
}
