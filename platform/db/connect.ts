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
 * Exceptions of class 22 that a value can cause. Others are of the statement or of the server, such as 2200H, a sequence that
 * has come to its end: then everybody's data would be taken for bad.
 */
const DATA_EXCEPTIONS = new Set([
  '22000', // data exception
  '22001', // string too long
  '22003', // number out of range
  '22007', // invalid datetime format
  '22008', // datetime overflow
  '22021', // character not in repertoire
  '22023', // invalid parameter value
  '2202E', // array subscript error
  '22030', // duplicate JSON object key
  '22032', // invalid JSON text
  '22P02', // invalid text representation
  '22P03', // invalid binary representation
  '22P04', // bad COPY file format
  '22P05', // untranslatable character
])

/**
 * Whether the error is about the data of a statement, so that trying again with the same data would fail the same way:
 * data exceptions, violated constraints, exceeded limits (PostgreSQL manual, appendix A, classes 22, 23 and 54).
 */
export function isDataError(error: unknown): error is DatabaseError {
  if (!(error instanceof DatabaseError)) return false
  const { code = '' } = error
  return DATA_EXCEPTIONS.has(code) || /^(23|54)/.test(code)
}

/** Whether the error is the violation of the constraint or unique index of this name. */
export function violates(error: unknown, constraint: string): boolean {
  return error instanceof DatabaseError && error.constraint === constraint
}
