import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'

/** Rows that one statement may bring, however small those before were: the next may all be as large as a message can be. */
const MAX_ROWS = 128
/** The same while nothing is known of their size. */
const FIRST_ROWS = 32
/** The same of rows that are small whatever they hold. */
const SMALL_ROWS = 1_001
/** What a batch is to be written in. */
export const TARGET_BYTES = 262_144

/** How many rows come next: fewer the larger those before were. */
export interface Pace {
  readonly nextRows: number
  /** Tells what the rows of the last batch were written in. */
  learn(rows: number, bytes: number): void
}

export function createPace({ isSmall }: { readonly isSmall: boolean }): Pace {
  let nextRows = isSmall ? SMALL_ROWS : FIRST_ROWS
  return {
    get nextRows() {
      return nextRows
    },
    learn(rows, bytes) {
      if (isSmall) return
      const wanted = Math.floor((TARGET_BYTES * rows) / Math.max(1, bytes))
      nextRows = Math.min(MAX_ROWS, Math.max(1, wanted))
    },
  }
}

/**
 * The rows of a statement in batches, as they are asked for: Postgres keeps the place, so what is in memory does not grow
 * with the answer. In a transaction, and once in it.
 *
 * @param limit how many the statement is known to have at the most; no more than come at once need no cursor
 */
export async function* fetchBatches<Row>(
  trx: Db,
  statement: RawBuilder<Row>,
  pace: Pace,
  limit = Infinity,
): AsyncGenerator<readonly Row[], undefined> {
  if (limit <= pace.nextRows) {
    yield (await statement.execute(trx)).rows
    return undefined
  }
  await sql`declare answer no scroll cursor for ${statement}`.execute(trx)
  for (let left = limit; left > 0;) {
    const count = Math.min(pace.nextRows, left)
    const { rows } = await sql<Row>`fetch ${sql.lit(count)} from answer`.execute(trx)
    if (rows.length > 0) yield rows
    if (rows.length < count) return undefined
    left -= rows.length
  }
  return undefined
}
