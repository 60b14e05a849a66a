import { Pool } from 'pg'
import { SESSION } from './session.ts'

const TIMEOUT_MS = 1_000

/** Asks whether Postgres answers. */
export interface Probe {
  /** However many ask at a time, the database hears one question. */
  answers(): Promise<boolean>
  stop(): Promise<void>
}

/**
 * Has a connection to itself: behind the requests of a busy gateway it would wait for its turn, and take a database that
 * works hard for one that is gone.
 */
export function createProbe(url: string): Probe {
  const pool = new Pool({
    ...SESSION,
    connectionString: url,
    max: 1,
    connectionTimeoutMillis: TIMEOUT_MS,
    query_timeout: TIMEOUT_MS,
    application_name: 'sluice health',
  })
  // The next question opens another connection, and says so when it cannot.
  pool.on('error', () => undefined)
  let asking: Promise<boolean> | undefined

  async function ask(): Promise<boolean> {
    try {
      await pool.query('select 1')
      return true
    } catch {
      return false
    } finally {
      asking = undefined
    }
  }

  return {
    answers: () => (asking ??= ask()),
    stop: () => pool.end(),
  }
}
