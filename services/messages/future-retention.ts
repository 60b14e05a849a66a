import { sql } from 'kysely'
import { MESSAGES_STREAM } from '../../platform/bus/streams.ts'
import type { Db } from '../../platform/db/connect.ts'
import { lateFrom } from './partitions.ts'
import { DAY_S } from './totals.ts'

/** Notes down how far the stream is stored today, once a day: what lies before arrived by then. */
export async function markArrivals(db: Db, now: number): Promise<void> {
  await sql`
    insert into arrival_marks (day, stream_created_at, seq)
      select ${Math.floor(now / DAY_S)}::int, created_at, seq from stream_positions where stream = ${MESSAGES_STREAM}
    on conflict do nothing`.execute(db)
}

/**
 * Removes readings whose time lies beyond all weeks, by when they arrived: by a clock that is decades ahead they would stay
 * for decades, the latest of their channel.
 *
 * @param platformDays 0 keeps for ever
 * @param now seconds since the Unix epoch
 * @returns how many went
 */
export async function removeFuture(
  db: Db,
  platformDays: number,
  now: number,
  signal: AbortSignal,
): Promise<number> {
  const fromS = await lateFrom(db)
  let removed = 0
  for (const { channelId, seq } of await findExpired(db, platformDays, now, fromS)) {
    if (signal.aborted) break
    removed += await removeUpTo(db, channelId, seq, fromS)
  }
  return removed
}

interface Expired {
  readonly channelId: string
  /** Place in the stream up to which what arrived has expired. */
  readonly seq: number
}

async function findExpired(db: Db, platformDays: number, now: number, fromS: number): Promise<Expired[]> {
  const { rows } = await sql<Expired>`
    select late.channel_id as "channelId", mark.seq
    from (
      select distinct channel_id from stored_days where kind = 'readings' and day >= ${fromS / DAY_S}::int
    ) as late
    left join channels on channels.id = late.channel_id
    left join domains on domains.id = channels.domain_id
    cross join lateral (
      -- Of the stream that is there now: numbers of another say nothing about it.
      select max(arrival_marks.seq) as seq from arrival_marks
      join stream_positions on stream_positions.stream = ${MESSAGES_STREAM}
        and stream_positions.created_at = arrival_marks.stream_created_at
      where arrival_marks.day < ${Math.floor(now / DAY_S)}::int
        - coalesce(domains.message_retention_days, nullif(${platformDays}::int, 0))
    ) as mark
    where mark.seq is not null
    order by late.channel_id`.execute(db)
  return rows
}

async function removeUpTo(db: Db, channelId: string, seq: number, fromS: number): Promise<number> {
  return db.transaction().execute(async (trx) => {
    const { rows } = await sql<{ removed: number }>`
      with removed as (
        delete from samples where channel_no = (select no from stored_channels where channel_id = ${channelId})
          and time >= ${fromS}::float8 and place < (${seq + 1}::bigint << 20)
        returning greatest(-1000000, least(1000000, floor(time / ${DAY_S})))::int as day
      ), by_day as (
        select day, count(*) from removed group by day
      ), counted as (
        update stored_days as d set stored = stored - by_day.count from by_day
        where d.channel_id = ${channelId} and d.kind = 'readings' and d.day = by_day.day
      )
      select count(*) as removed from removed`.execute(trx)
    await sql`delete from stored_days
      where channel_id = ${channelId} and kind = 'readings' and day >= ${fromS / DAY_S}::int and stored = 0`.execute(
      trx,
    )
    return rows[0]?.removed ?? 0
  })
}
