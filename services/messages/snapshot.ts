import { DatabaseError } from 'pg'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { DomainError, Unavailable } from '../../platform/errors.ts'
import { QueryTimeout } from './errors.ts'

/**
 * Asks several questions about one and the same moment, changing nothing.
 *
 * @throws {QueryTimeout} one of them took too long
 * @throws {Unavailable} the database is away, or has no connection to spare
 */
export async function inSnapshot<T>(db: Db, body: (trx: Trx) => Promise<T>): Promise<T> {
  try {
    return await db
      .transaction()
      .setIsolationLevel('repeatable read')
      .setAccessMode('read only')
      .execute(body)
  } catch (error) {
    throw explained(error)
  }
}

/** What a failure of the database means to whoever asked; a bug of ours stays what it is. */
export function explained(error: unknown): unknown {
  if (error instanceof DomainError) return error
  if (error instanceof DatabaseError) {
    // PostgreSQL manual, appendix A: query_canceled; connection exceptions, insufficient resources, operator intervention.
    if (error.code === '57014') return new QueryTimeout({ cause: error })
    if (/^(08|53|57)/.test(error.code ?? '')) return away(error)
    return error
  }
  if (!(error instanceof Error)) return error
  const isAway =
    ('code' in error && typeof error.code === 'string' && /^E[A-Z]+$/.test(error.code)) ||
    // pg gives these no code.
    /^(timeout exceeded when trying to connect|Connection terminated)/.test(error.message)
  return isAway ? away(error) : error
}

const away = (error: Error) => new Unavailable('the database does not answer', { cause: error })
