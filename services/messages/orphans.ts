import { sql } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'

/** Series that one statement looks at: one look into the index of each partition at the most, for each. */
const LOOK_AT = 5_000
/** Series that go at once. The writer waits that long, and begins anew after it. */
const REMOVE_AT_ONCE = 1_000
/** Series that one round looks at and removes at the most; the next one goes on where this one ended. */
const LOOK_AT_MOST = 200_000
const REMOVE_AT_MOST = 20_000

export interface OrphanRound {
  readonly removed: number
  /** The last series that was looked at; 0 when that was the last there is. */
  readonly last: number
}

/**
 * Removes series that have no samples left, because those were kept long enough.
 *
 * A writer knows series by heart and may be about to store samples of one that has none now. So each removal makes another
 * generation of series, in the row that the writer's transaction locks first of all: what it stores with what it knew of an
 * older one is refused, and it begins anew and asks again (store.ts). What it stored before is seen here.
 *
 * @param after where the round before ended
 */
export async function removeOrphans(db: Db, after: number, signal: AbortSignal): Promise<OrphanRound> {
  let [last, removed] = [after, 0]
  for (let looked = 0; looked < LOOK_AT_MOST && !signal.aborted; looked += LOOK_AT) {
    const found = await findOrphans(db, last)
    for (let at = 0; at < found.ids.length && !signal.aborted; at += REMOVE_AT_ONCE) {
      removed += await remove(db, found.ids.slice(at, at + REMOVE_AT_ONCE))
    }
    if (found.last === null) return { removed, last: 0 }
    last = found.last
    if (removed >= REMOVE_AT_MOST) break
  }
  return { removed, last }
}

async function findOrphans(db: Db, after: number): Promise<{ last: number | null; ids: readonly number[] }> {
  const { rows } = await sql<{ last: number | null; ids: number[] }>`
    with looked as (select id from series where id > ${after} order by id limit ${LOOK_AT})
    select max(id) as last, coalesce(array_agg(id) filter (
      where not exists (select from samples where samples.series_id = looked.id)), '{}') as ids
    from looked`.execute(db)
  return rows[0] ?? { last: null, ids: [] }
}

async function remove(db: Db, ids: readonly number[]): Promise<number> {
  return db.transaction().execute(async (trx) => {
    await sql`set local lock_timeout = '2s'`.execute(trx)
    await sql`update stream_positions set series_generation = series_generation + 1`.execute(trx)
    // A statement of its own: it sees what the writer stored until the line above had the lock.
    const { rows } = await sql<{ removed: number }>`
      with removed as (
        delete from series where id = any(${[...ids]}::int[])
          and not exists (select from samples where samples.series_id = series.id)
        returning channel_no
      ), counted as (
        update stored_channels set series = series - less.count
        from (select channel_no, count(*) from removed group by channel_no order by channel_no) as less
        where no = less.channel_no
      )
      select count(*) as removed from removed`.execute(trx)
    return rows[0]?.removed ?? 0
  })
}
