import { Kysely, PostgresDialect } from 'kysely'
import type { Transaction } from 'kysely'
import { Client, DatabaseError, types } from 'pg'
import { createPool } from './pool.ts'
import type { PoolOptions } from './pool.ts'
import { SESSION } from './session.ts'
import type { Tables } from './tables.ts'

/** The database, or a transaction in it: what repositories take first. */
export type Db = Kysely<Tables>
export type Trx = Transaction<Tables>

// Counts, stream positions and journal numbers: all far below 2**53, so numbers serve and bigint strings would only hurt.
types.setTypeParser(types.builtins.INT8, Number)

export function createDatabase(options: PoolOptions): Db {
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool: createPool(options) }) })
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
