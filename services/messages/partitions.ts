import { sql } from 'kysely'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { DAY_S } from './totals.ts'

/** Samples are partitioned by weeks of the Unix epoch, which begin on Thursdays; what lies outside is `early` or `late`. */
const WEEK_DAYS = 7
const WEEK_S = WEEK_DAYS * DAY_S
/** Weeks that have a partition before they begin. */
const AHEAD = 2

export const weekOf = (time: number) => Math.floor(time / WEEK_S)

interface Weeks {
  /** The first that has a partition. */
  readonly first: number
  /** The first behind all that have one. */
  readonly end: number
}

/**
 * Gives each week up to two from now a partition. What stood in `late` of a week that gets one moves there, so a process
 * that was off for months loses nothing by it.
 */
export async function createAhead(db: Db, now: number): Promise<number> {
  const wanted = weekOf(now) + AHEAD + 1
  if ((await findWeeks(db)).end >= wanted) return 0
  return db.transaction().execute(async (trx) => {
    await lock(trx)
    const { end } = await findWeeks(trx)
    if (end >= wanted) return 0
    // Made smaller in place and attached again: what a clock of 2099 left there is read once, and not copied.
    await run(trx, 'alter table samples detach partition samples_late')
    for (let week = end; week < wanted; week++) await createPartition(trx, `samples_w${week}`, week, week + 1)
    await run(
      trx,
      `with moved as (delete from samples_late where time < ${wanted * WEEK_S} returning *)
       insert into samples select * from moved`,
    )
    await run(
      trx,
      `alter table samples attach partition samples_late for values from (${wanted * WEEK_S}) to (maxvalue)`,
    )
    return wanted - end
  })
}

/**
 * Drops all samples before the week of a moment: `early` and the weeks' partitions, and a new, empty `early` takes their
 * place.
 *
 * @returns how many weeks went
 */
export async function dropBefore(db: Db, time: number): Promise<number> {
  if (weekOf(time) <= (await findWeeks(db)).first) return 0
  return db.transaction().execute(async (trx) => {
    await lock(trx)
    const { first, end } = await findWeeks(trx)
    const stays = Math.min(weekOf(time), end)
    if (stays <= first) return 0
    await run(trx, 'drop table samples_early')
    for (let week = first; week < stays; week++) await run(trx, `drop table samples_w${week}`)
    await createPartition(trx, 'samples_early', undefined, stays)
    await sql`delete from stored_days where kind = 'readings' and day < ${stays * WEEK_DAYS}`.execute(trx)
    return stays - first
  })
}

/** From when on readings lie in no week, seconds since the Unix epoch. */
export async function lateFrom(db: Db): Promise<number> {
  return (await findWeeks(db)).end * WEEK_S
}

/**
 * Before anything else, so that nobody who writes holds one of our locks and waits for another. While we wait, everybody
 * waits behind us: not for long then, there is another hour.
 */
async function lock(trx: Trx): Promise<void> {
  await sql`set local lock_timeout = '2s'`.execute(trx)
  await sql`lock table samples in access exclusive mode`.execute(trx)
}

async function findWeeks(db: Db): Promise<Weeks> {
  const { rows } = await sql<Weeks>`
    select min(week) as first, max(week) + 1 as end from (
      select substr(relname, 10)::int as week from pg_inherits join pg_class on pg_class.oid = inhrelid
      where inhparent = 'samples'::regclass and relname ~ '^samples_w-?[0-9]+$') as weeks`.execute(db)
  const [weeks] = rows
  if (!weeks) throw new Error('samples have no partitions')
  return weeks
}

async function createPartition(trx: Trx, name: string, from: number | undefined, to: number): Promise<void> {
  const low = from === undefined ? 'minvalue' : String(from * WEEK_S)
  await run(
    trx,
    `create table ${name} partition of samples for values from (${low}) to (${to * WEEK_S})
     with (autovacuum_vacuum_insert_scale_factor = 0.02)`,
  )
}

const run = (trx: Trx, statement: string) => sql.raw(statement).execute(trx)
