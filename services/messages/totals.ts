import { sql } from 'kysely'
import type { Expression, SqlBool } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'
import type { MessageFilter } from './filter.ts'
import { sampleConditions, samplesOf } from './scope.ts'
import type { Scope } from './scope.ts'
import type { ChannelState } from './state.ts'

export const DAY_S = 86_400
/** Days are counted from the Unix epoch; what lies further off than about 2,700 years is counted at that end. */
export const LAST_DAY = 1_000_000

/**
 * How many samples of a scope pass the filter, exactly. Of a whole channel, with or without bounds in time, from the days
 * that the writer counts; of single series by counting in their index.
 */
export async function countSamples(
  db: Db,
  { channelId, readings }: ChannelState,
  scope: Scope,
  filter: MessageFilter,
): Promise<number> {
  const { from, to } = filter
  const conditions = sampleConditions(filter)
  const bounds = Number(from !== undefined) + Number(to !== undefined)
  const isWhole = scope.series === undefined && scope.matching.length === 0
  if (!isWhole || conditions.length > bounds) return count(db, scope, conditions)
  if (bounds === 0) return readings
  if (isFarOff(from) || isFarOff(to)) return count(db, scope, conditions)
  const firstDay = from === undefined ? -LAST_DAY : Math.ceil(from / DAY_S)
  const endDay = to === undefined ? LAST_DAY + 1 : Math.floor(to / DAY_S)
  if (firstDay >= endDay) return count(db, scope, conditions)
  const [whole, before, behind] = await Promise.all([
    countDays(db, channelId, 'readings', firstDay, endDay),
    from === undefined ? 0 : countBetween(db, scope, from, firstDay * DAY_S),
    to === undefined ? 0 : countBetween(db, scope, endDay * DAY_S, to),
  ])
  return whole + before + behind
}

/** Rows of a kind stored of a channel whose time lies in these days. */
export async function countDays(
  db: Db,
  channelId: string,
  kind: string,
  firstDay = -LAST_DAY,
  endDay = LAST_DAY + 1,
): Promise<number> {
  const { rows } = await sql<{ total: number }>`
    select coalesce(sum(stored), 0)::bigint as total from stored_days
    where channel_id = ${channelId} and kind = ${kind} and day >= ${firstDay} and day < ${endDay}`.execute(db)
  return rows[0]?.total ?? 0
}

const isFarOff = (time: number | undefined) => time !== undefined && Math.abs(time) >= LAST_DAY * DAY_S

function countBetween(db: Db, scope: Scope, from: number, to: number): Promise<number> {
  return from < to ? count(db, scope, [sql`time >= ${from}`, sql`time < ${to}`]) : Promise.resolve(0)
}

async function count(db: Db, scope: Scope, conditions: readonly Expression<SqlBool>[]): Promise<number> {
  const { rows } = await sql<{ total: number }>`
    select count(*) as total from ${samplesOf(scope, conditions)}`.execute(db)
  return rows[0]?.total ?? 0
}
