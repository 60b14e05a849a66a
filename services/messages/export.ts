import { sql } from 'kysely'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { TooManyExports } from './errors.ts'
import type { Answer } from './page.ts'
import { rowsOf } from './repository.ts'
import { explained } from './snapshot.ts'

/** Rows that are in memory at once. */
const BATCH = 1_000
/** For the first rows of an export that must be sorted, too. */
const STATEMENT_TIMEOUT_MS = 60_000

export interface ExportBounds {
  readonly maxRows: number
  readonly maxAtOnce: number
  /** What the caller wants at the most. */
  readonly limit: number | undefined
}

const running = new WeakMap<Db, number>()

/** The first rows, and a way to all others; who has begun must go to the end, or call `return`. */
export interface ExportedRows {
  readonly first: readonly object[]
  readonly rest: AsyncGenerator<readonly object[], undefined>
}

/**
 * All rows of a question, of one moment, in batches as they are asked for: Postgres keeps the place, so memory does not grow
 * with the export. When nobody asks any more, the query ends.
 *
 * @throws {TooManyExports} @throws {QueryTimeout} @throws {Unavailable}
 */
export async function exportRows<Row extends object>(
  db: Db,
  ask: (trx: Trx) => Promise<Answer<Row>>,
  bounds: ExportBounds,
): Promise<ExportedRows> {
  const count = running.get(db) ?? 0
  if (count >= bounds.maxAtOnce) throw new TooManyExports()
  running.set(db, count + 1)
  const release = () => running.set(db, (running.get(db) ?? 1) - 1)
  try {
    const rest = fetchAll(db, ask, bounds, release)
    // Here, while what goes wrong can still be told as an error.
    const { value: first = [] } = await rest.next()
    return { first, rest }
  } catch (error) {
    throw explained(error)
  }
}

async function* fetchAll<Row extends object>(
  db: Db,
  ask: (trx: Trx) => Promise<Answer<Row>>,
  { maxRows, limit }: ExportBounds,
  release: () => void,
): AsyncGenerator<readonly object[], undefined> {
  const trx = await db
    .startTransaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute()
    .catch((error: unknown) => {
      release()
      throw error
    })
  try {
    await sql`set local statement_timeout = ${sql.lit(STATEMENT_TIMEOUT_MS)}`.execute(trx)
    const { selection, present } = await ask(trx)
    if (!selection) return undefined
    await sql`declare export no scroll cursor for ${selection.rows}`.execute(trx)
    let count = 0
    for (;;) {
      const { rows } = await sql<Row>`fetch ${sql.lit(BATCH)} from export`.execute(trx)
      const found = rowsOf(selection, rows)
      const wanted = found.slice(0, (limit ?? Infinity) - count)
      count += wanted.length
      // Cut off, so that nobody takes a part for the whole.
      if (count > maxRows) throw new Error(`export ended at ${maxRows} rows`)
      if (wanted.length > 0) yield await present(wanted)
      if (rows.length < BATCH || count === limit) return undefined
    }
  } finally {
    release()
    await trx.rollback().execute()
  }
}
