import { Kysely, PostgresDialect } from 'kysely'
import type { Transaction } from 'kysely'
import { Client, DatabaseError, Pool, types } from 'pg'
import type { Logger } from '../log.ts'
import { SESSION } from './session.ts'
import type { Tables } from './tables.ts'

/** The database, or a transaction in it: what repositories take first. */
export type Db = Kysely<Tables>
export type Trx = Transaction<Tables>

// Counts, stream positions and journal numbers: all far below 2**53, so numbers serve and bigint strings would only hurt.
types.setTypeParser(types.builtins.INT8, Number)

export interface DatabaseOptions {
  readonly url: string
  /** Connections at the most. */
  readonly maxConnections: number
  readonly log?: Logger
  /** Milliseconds after which the server ends a statement, so that no request holds a connection for ever. */
  readonly statementTimeoutMs?: number
}

export function createDatabase(options: DatabaseOptions): Db {
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool: createPool(options) }) })
}

function createPool({ url, maxConnections, log, statementTimeoutMs }: DatabaseOptions): Pool {
  const pool = new Pool({
    ...SESSION,
    connectionString: url,
    max: maxConnections,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 30_000,
    application_name: 'sluice',
    // Far above what any transaction of ours waits for, which is an acknowledgement of the bus.
    idle_in_transaction_session_timeout: 60_000,
    ...(statementTimeoutMs === undefined ? {} : { statement_timeout: statementTimeoutMs }),
  })
  // An idle connection that breaks is replaced by the pool; unhandled, the event would end the process.
  pool.on('error', (error) => log?.warn({ err: error }, 'idle database connection lost'))
  return pool
}

/** A connection of its own, not yet opened: for what must not share one, such as listening, locks and COPY. */
export function createClient(url: string, name: string): Client {
  return new Client({
    ...SESSION,
    connectionString: url,
    application_name: name,
    connectionTimeoutMillis: 5_000,
  })
}

/**
 * Whether the error is about the data of a statement, so that trying again with the same data would fail the same way:
 * data exceptions, violated constraints, exceeded limits (PostgreSQL manual, appendix A, classes 22, 23 and 54).
 */
export function isDataError(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && /^(22|23|54)/.test(error.code ?? '')
}

/** Whether the error is the violation of the constraint or unique index of this name. */
export function violates(error: unknown, constraint: string): boolean {
  return error instanceof DatabaseError && error.constraint === constraint
}
