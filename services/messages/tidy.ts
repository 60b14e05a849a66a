import { sql } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'
import { weekOf } from './partitions.ts'

/** What the indexes of a finished week say once they have been made anew. */
const TIDY = 'made anew after its week'
/** A week is left alone for a day: readings of yesterday's end still come. */
const SETTLE_S = 86_400

/**
 * Makes the indexes of finished weeks anew, once. Readings of many series arrive in turns, so the pages of the series' index
 * are split in their middle again and again and stay half empty; filled they take half the room and half the reading.
 * Nobody is locked out meanwhile. Several processes may try; one does it.
 *
 * @param now seconds since the Unix epoch
 * @returns how many weeks were done
 */
export async function tidyWeeks(db: Db, now: number, signal: AbortSignal): Promise<number> {
  return db.connection().execute(async (session) => {
    const { rows } = await sql<{ locked: boolean }>`
      select pg_try_advisory_lock(${TIDY_LOCK}) as locked`.execute(session)
    if (!rows[0]?.locked) return 0
    try {
      // A week of a large site takes minutes, and holds up nobody.
      await sql`set statement_timeout = 0`.execute(session)
      let done = 0
      for (const week of await findUntidy(session, weekOf(now - SETTLE_S))) {
        if (signal.aborted) break
        await tidy(session, `samples_w${week}`)
        done += 1
      }
      return done
    } finally {
      await sql`reset statement_timeout`.execute(session)
      await sql`select pg_advisory_unlock(${TIDY_LOCK})`.execute(session)
    }
  })
}

const TIDY_LOCK = 7_401_005

async function findUntidy(db: Db, before: number): Promise<number[]> {
  const { rows } = await sql<{ week: number }>`
    select substr(relname, 10)::int as week from pg_inherits join pg_class on pg_class.oid = inhrelid
    where inhparent = 'samples'::regclass and relname ~ '^samples_w-?[0-9]+$'
      and obj_description(pg_class.oid, 'pg_class') is distinct from ${TIDY}
    order by week`.execute(db)
  return rows.map(({ week }) => week).filter((week) => week < before)
}

async function tidy(db: Db, table: string): Promise<void> {
  await dropUnfinished(db, table)
  await sql.raw(`reindex table concurrently ${table}`).execute(db)
  await sql.raw(`comment on table ${table} is '${TIDY}'`).execute(db)
}

/** What an attempt that broke off has left: an index that everybody writes and nobody reads. */
async function dropUnfinished(db: Db, table: string): Promise<void> {
  const { rows } = await sql<{ name: string }>`
    select indexrelid::regclass::text as name from pg_index
    where indrelid = ${table}::regclass and not indisvalid and indexrelid::regclass::text ~ '_cc(new|old)[0-9]*$'`.execute(
    db,
  )
  for (const { name } of rows) await sql.raw(`drop index concurrently ${name}`).execute(db)
}
