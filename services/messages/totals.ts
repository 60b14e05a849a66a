import { sql } from 'kysely'
import type { RawBuilder, SqlBool } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'
import type { MessageFilter } from './filter.ts'
import { contentConditions, walkOf } from './scope.ts'
import type { Scope } from './scope.ts'
import type { ChannelState } from './state.ts'

export const DAY_S = 86_400
/** Days are counted from the Unix epoch; what lies further off than about 2,700 years is counted at that end. */
export const LAST_DAY = 1_000_000

/** How many there are. */
export interface Total {
  readonly count: number
  /** Whether there may be more: they were not all looked at. */
  readonly isMinimum: boolean
}

/**
 * How many samples of a scope pass the filter. Of a whole channel, with or without bounds in time, from the days that the
 * writer counts; else by counting, at most so many that a page does not wait for it.
 *
 * @param most samples to look at, whether they pass or not
 */
export async function countSamples(
  db: Db,
  { channelId, readings }: ChannelState,
  scope: Scope,
  filter: MessageFilter,
  most: number,
): Promise<Total> {
  const { from, to } = filter
  const count = (bounds: Partial<MessageFilter> = {}) => {
    const walk = walkOf(scope, { ...filter, ...bounds }, most + 1)
    return countAmong(db, walk.rows, walk.conditions, most)
  }
  const isWhole = scope.series === undefined && scope.matching.length === 0
  if (!isWhole || contentConditions(filter).length > 0) return count()
  if (from === undefined && to === undefined) return { count: readings, isMinimum: false }
  if (isFarOff(from) || isFarOff(to)) return count()
  const firstDay = from === undefined ? -LAST_DAY : Math.ceil(from / DAY_S)
  const endDay = to === undefined ? LAST_DAY + 1 : Math.floor(to / DAY_S)
  if (firstDay >= endDay) return count()
  const none: Total = { count: 0, isMinimum: false }
  const [whole, before, behind] = await Promise.all([
    countDays(db, channelId, 'readings', firstDay, endDay),
    from === undefined || from === firstDay * DAY_S ? none : count({ to: firstDay * DAY_S }),
    to === undefined || to === endDay * DAY_S ? none : count({ from: endDay * DAY_S }),
  ])
  return {
    count: whole + before.count + behind.count,
    isMinimum: before.isMinimum || behind.isMinimum,
  }
}

/**
 * How many rows meet the conditions, as far as they were looked at.
 *
 * @param rows all of them, or one more than may be looked at
 */
export async function countAmong(
  db: Db,
  rows: RawBuilder<unknown>,
  conditions: readonly RawBuilder<SqlBool>[],
  most: number,
): Promise<Total> {
  const passes = conditions.length === 0 ? sql`true` : sql.join(conditions, sql` and `)
  const counted = await sql<{ found: number; seen: number }>`
    select count(*) filter (where ${passes}) as found, count(*) as seen from (${rows}) as walked`.execute(db)
  const { found = 0, seen = 0 } = counted.rows[0] ?? {}
  return { count: found, isMinimum: seen > most }
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
