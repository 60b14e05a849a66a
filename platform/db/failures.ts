import { DatabaseError } from 'pg'
import { InvalidInput, Unavailable } from '../errors.ts'

// SQLSTATEs (PostgreSQL manual, appendix A).

/** The server ends the session: connection exceptions, a shutdown or an administrator, too long idle in a transaction. */
const ENDED = /^(?:08...|57P0.|25P03)$/
/** It cannot work for us now, though nothing is wrong with what was asked: no resources, or now a standby, which reads only. */
const AWAY = /^(?:53...|25006)$/
/** Cancelled, which among us the statement timeout alone does. */
const CANCELLED = '57014'
/** Data exceptions: a value that the database cannot hold or reckon with. */
const BAD_DATA = /^22...$/

// What pg says itself of a connection that is gone, or that could not be had in time; these errors have no code.
const LOST = /^(?:Connection terminated|Client (?:has encountered|was closed)|Query read timeout|timeout e)/

/** Whether the statement failed together with its connection, so that nobody may have that connection again. */
export function isLostConnection(error: unknown): boolean {
  // The server says that it ends the session, and the end itself is still on its way.
  if (error instanceof DatabaseError) return ENDED.test(error.code ?? '')
  // The system's errors (ECONNRESET, ETIMEDOUT) name the call that failed.
  return error instanceof Error && ('syscall' in error || LOST.test(error.message))
}

/**
 * What a failed statement means to a caller. Violated constraints and everything else that repositories recognise, or that
 * is a bug, stays what it is.
 *
 * @returns {@link Unavailable} when Postgres is away or too busy, {@link InvalidInput} for a value that it cannot take, else
 *   the error itself
 */
export function explainFailure(error: unknown): unknown {
  const code = error instanceof DatabaseError ? (error.code ?? '') : ''
  if (code === CANCELLED) return new Unavailable('the database took too long', { cause: error })
  if (AWAY.test(code) || isLostConnection(error)) return away(error)
  if (BAD_DATA.test(code)) {
    return new InvalidInput('a value is out of range, or not one the database can hold', { cause: error })
  }
  return error
}

/** Without a word of why: addresses and names of servers are not the caller's business. */
export function away(cause: unknown): Unavailable {
  return new Unavailable('the database is not available', { cause })
}
