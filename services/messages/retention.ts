import { sql } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'
import { dropBefore } from './partitions.ts'
import { DAY_S } from './totals.ts'

const NS_PER_DAY = 86_400_000_000_000n
const JSON_AT_ONCE = 10_000

/**
 * Drops whole weeks that no domain keeps.
 *
 * @param platformDays 0 keeps for ever
 * @param now seconds since the Unix epoch
 * @returns how many weeks went
 */
export async function dropExpiredWeeks(db: Db, platformDays: number, now: number): Promise<number> {
  const longest = await longestRetention(db, platformDays)
  return longest === undefined ? 0 : dropBefore(db, now - longest * DAY_S)
}

/**
 * Removes, day by day, readings of domains that keep less than the platform, and JSON messages. Each step is a transaction
 * that leaves the counts right, so it may end anywhere.
 *
 * @param platformDays 0 keeps for ever
 * @param now seconds since the Unix epoch
 * @returns what went
 */
export async function removeExpiredDays(
  db: Db,
  platformDays: number,
  now: number,
  signal: AbortSignal,
): Promise<{ readings: number; json: number }> {
  let [readings, json] = [0, 0]
  const today = Math.floor(now / DAY_S)
  for (const { channelId, days, kind, day } of await findExpired(db, platformDays, today)) {
    if (signal.aborted) break
    if (kind === 'readings') readings += await removeDay(db, channelId, day)
    else json += await removeJson(db, channelId, kind, BigInt(today - days) * NS_PER_DAY, signal)
  }
  return { readings, json }
}

/** Days that some domain keeps its messages for at least; `undefined` when one keeps them for ever. */
async function longestRetention(db: Db, platformDays: number): Promise<number | undefined> {
  if (platformDays === 0) return undefined
  const { rows } = await sql<{ longest: number | null }>`
    select max(message_retention_days) as longest from domains where status <> 'deleted'`.execute(db)
  return Math.max(platformDays, rows[0]?.longest ?? 0)
}

interface Expired {
  readonly channelId: string
  /** That its domain keeps. */
  readonly days: number
  readonly kind: string
  readonly day: number
}

/**
 * Days with something that has expired. Readings only where the domain has a number of its own: by the platform's they go
 * with their week. Of JSON messages the oldest day stands for all.
 */
async function findExpired(db: Db, platformDays: number, today: number): Promise<Expired[]> {
  const { rows } = await sql<Expired>`
    select channel_id as "channelId", days, kind, day from (
      select d.channel_id, d.kind, d.day, domains.message_retention_days as own,
        coalesce(domains.message_retention_days, nullif(${platformDays}::int, 0)) as days
      from stored_days d
      left join channels on channels.id = d.channel_id
      left join domains on domains.id = channels.domain_id
    ) as kept
    where day < ${today} - days and (kind <> 'readings' or own is not null)
    order by channel_id, kind, day`.execute(db)
  return rows
}

async function removeDay(db: Db, channelId: string, day: number): Promise<number> {
  return db.transaction().execute(async (trx) => {
    const { rows } = await sql<{ removed: number }>`
      with removed as (
        delete from samples where channel_no = (select no from stored_channels where channel_id = ${channelId})
          and time >= ${day * DAY_S}::float8 and time < ${(day + 1) * DAY_S}::float8
        returning 1)
      select count(*) as removed from removed`.execute(trx)
    const removed = rows[0]?.removed ?? 0
    // Less what was there to see: what a writer adds meanwhile stays, and is counted.
    await sql`update stored_days set stored = stored - ${removed}
      where channel_id = ${channelId} and kind = 'readings' and day = ${day}`.execute(trx)
    await sql`delete from stored_days
      where channel_id = ${channelId} and kind = 'readings' and day = ${day} and stored = 0`.execute(trx)
    return removed
  })
}

async function removeJson(
  db: Db,
  channelId: string,
  kind: string,
  beforeNs: bigint,
  signal: AbortSignal,
): Promise<number> {
  const format = kind.slice('json:'.length)
  for (let total = 0; ;) {
    const removed = await db.transaction().execute(async (trx) => {
      const { rows } = await sql<{ day: number; removed: number }>`
        with removed as (
          delete from json_messages where ctid = any(array(
            select ctid from json_messages where channel_id = ${channelId} and format = ${format}
              and created < ${String(beforeNs)}::bigint limit ${JSON_AT_ONCE}))
          returning created)
        select (created / ${String(NS_PER_DAY)}::bigint)::int as day, count(*) as removed from removed group by 1`.execute(
        trx,
      )
      let all = 0
      for (const { day, removed } of rows) {
        all += removed
        await sql`update stored_days set stored = stored - ${removed}
          where channel_id = ${channelId} and kind = ${kind} and day = ${day}`.execute(trx)
      }
      await sql`delete from stored_days
        where channel_id = ${channelId} and kind = ${kind} and stored = 0`.execute(trx)
      return all
    })
    total += removed
    if (removed < JSON_AT_ONCE || signal.aborted) return total
  }
}
