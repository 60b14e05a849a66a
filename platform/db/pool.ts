import type { PostgresPool, PostgresPoolClient } from 'kysely'
import { Pool } from 'pg'
import type { PoolClient, QueryResult } from 'pg'
import { Unavailable } from '../errors.ts'
import { createLogLimit } from '../log-limit.ts'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { away, explainFailure, isLostConnection } from './failures.ts'
import { SESSION } from './session.ts'

export interface PoolOptions {
  readonly url: string
  /** Connections at the most. */
  readonly maxConnections: number
  readonly log?: Logger
  /** Where its use is shown, under this name. */
  readonly shown?: { readonly metrics: Metrics; readonly as: string }
  /** Milliseconds after which the server ends a statement, so that no request holds a connection for ever. */
  readonly statementTimeoutMs?: number
  /** How many may wait for a connection; further ones are refused at once, `Unavailable`. Without it: any number. */
  readonly maxWaiting?: number
}

/** Far above what any transaction of ours waits for, which is an acknowledgement of the bus. */
const IDLE_IN_TRANSACTION_MS = 60_000

/**
 * Connections to share. The one place where the failures of the database become errors of the contract, so that whoever
 * asks it (REST, adapters directly or over the bus, the reader) answers an outage alike.
 */
export function createPool(options: PoolOptions): PostgresPool {
  const { url, maxConnections, log, statementTimeoutMs, maxWaiting = Infinity } = options
  const pool = new Pool({
    ...SESSION,
    connectionString: url,
    max: maxConnections,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 30_000,
    application_name: 'sluice',
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    ...(statementTimeoutMs === undefined ? {} : { statement_timeout: statementTimeoutMs }),
  })
  if (options.shown) show(pool, options.shown)
  // One line a window: in an outage every connection breaks, and then every request fails.
  const limit = createLogLimit({ lines: 1 })

  function report(err: unknown): void {
    const leftOut = limit.admit('away')
    if (leftOut !== undefined) log?.warn({ err, leftOut }, 'the database could not serve a request')
  }

  function explain(error: unknown): unknown {
    const explained = explainFailure(error)
    if (explained instanceof Unavailable) report(error)
    return explained
  }

  // An idle connection that breaks is replaced by the pool; unhandled, the event would end the process.
  pool.on('error', report)

  // Kysely knows a connection again by the object that it was given.
  const guarded = new WeakMap<PoolClient, PostgresPoolClient>()

  function guard(client: PoolClient): PostgresPoolClient {
    let isLost = false
    // While it is lent the pool does not listen, and a connection may break between two statements of a transaction: the
    // next one fails then. Unhandled, the event would end the process.
    client.on('error', () => undefined)
    async function query(sql: string, parameters: readonly unknown[]) {
      try {
        return await ask(client, sql, parameters)
      } catch (error) {
        isLost ||= isLostConnection(error)
        throw explain(error)
      }
    }
    return {
      // The other form, with a cursor, is for streams of rows; we have none.
      query: query as unknown as PostgresPoolClient['query'],
      release: () => client.release(isLost),
    }
  }

  return {
    async connect() {
      if (pool.waitingCount >= maxWaiting) throw new Unavailable('too many requests wait for the database')
      let client: PoolClient
      try {
        client = await pool.connect()
      } catch (error) {
        report(error)
        // Whatever the reason is, a wrong password included: the caller can do nothing but come back.
        throw away(error)
      }
      const known = guarded.get(client) ?? guard(client)
      guarded.set(client, known)
      return known
    },
    end: () => pool.end(),
  }
}

/**
 * Asks with a callback, since pg's own promise is dear: it assigns a function to a property, and V8 makes such functions old
 * from the start. Each keeps its result, so all rows of all answers outlive the collections of young objects, which then
 * copy them: pauses of some 10 ms a few thousand rows apart, in place of one.
 */
function ask(client: PoolClient, sql: string, parameters: readonly unknown[]): Promise<QueryResult> {
  return new Promise((resolve, reject) => {
    client.query(sql, [...parameters], (error: Error | null, result) => {
      if (error) reject(error)
      else resolve(result)
    })
  })
}

function show(pool: Pool, { metrics, as }: NonNullable<PoolOptions['shown']>): void {
  const gauge = (name: string, help: string, read: () => number, labels = {}) =>
    metrics.gauge(`sluice_postgres_${name}`, help, read, { pool: as, ...labels })
  const connections = 'Connections to Postgres'
  gauge('connections', connections, () => pool.totalCount - pool.idleCount, { state: 'used' })
  gauge('connections', connections, () => pool.idleCount, { state: 'idle' })
  gauge('connections_max', 'Connections to Postgres at the most', () => pool.options.max)
  gauge('requests_waiting', 'Requests that wait for a connection to Postgres', () => pool.waitingCount)
}
