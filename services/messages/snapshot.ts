import { DatabaseError } from 'pg'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { Unavailable } from '../../platform/errors.ts'
import { QueryTimeout } from './errors.ts'

/**
 * Asks several questions about one and the same moment, changing nothing.
 *
 * @throws {QueryTimeout} one of them took too long
 * @throws {Unavailable} the database is away, or has no connection to spare
 */
export async function inSnapshot<T>(db: Db, body: (trx: Trx) => Promise<T>): Promise<T> {
  try {
    const trx = await db
      .startTransaction()
      .setIsolationLevel('repeatable read')
      .setAccessMode('read only')
      .execute()
    try {
      return await body(trx)
    } finally {
      // Nothing depends on how it ends, so nobody waits for it; the connection is given back behind it.
      void trx
        .rollback()
        .execute()
        .catch(() => undefined)
    }
  } catch (error) {
    throw explained(error)
  }
}

// PostgreSQL manual, appendix A: query_canceled.
const CANCELLED = '57014'

/** A timeout of a reader's question is the question's own fault, and says so. */
export function explained(error: unknown): unknown {
  const cause = error instanceof Unavailable ? error.cause : undefined
  return cause instanceof DatabaseError && cause.code === CANCELLED ? new QueryTimeout({ cause }) : error
}
