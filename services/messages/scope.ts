import { sql } from 'kysely'
import type { Expression, RawBuilder, SqlBool } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'
import { isUuid } from '../../platform/identifiers.ts'
import type { Comparator, MessageFilter } from './filter.ts'
import { SERIES_COLUMNS } from './series.ts'
import type { SeriesRow } from './series.ts'

/** Which samples a question is about: those of a channel, or of some of its series. */
export interface Scope {
  readonly channelNo: number
  /** `undefined` where the filter names nothing that a series is made of, or more of them than a statement should carry. */
  readonly series: readonly number[] | undefined
  /** What series must say where they are that many: all of it. */
  readonly matching: readonly RawBuilder<SqlBool>[]
  /** What they say, unless there are too many of them. */
  readonly known: readonly SeriesRow[]
  /** Whether all of them have numbers alone: those are read from the index, and not each from a page of its own. */
  readonly isPlain: boolean
}

type SeriesFilter = Pick<MessageFilter, 'subtopic' | 'publisher' | 'protocol' | 'names'>

const COMPARISONS: Readonly<Record<Comparator, string>> = { eq: '=', lt: '<', le: '<=', gt: '>', ge: '>=' }

// From here on, walking the channel's index past what is not wanted beats a walk for each series.
const MANY_SERIES = 200
// From here on they are looked up by the statement itself.
const MAX_LISTED = 2_000

/** Looks the series up first: few of them are read by their own index, many by the channel's. `undefined`: nothing is stored. */
export async function findScope(
  db: Db,
  channelNo: number | null,
  filter: SeriesFilter,
): Promise<Scope | undefined> {
  if (channelNo === null) return undefined
  const conditions = originConditions(filter)
  if (filter.names !== undefined) conditions.push(sql`name = any(${[...filter.names]}::text[])`)
  const all = { channelNo, series: undefined, matching: [], known: [], isPlain: false }
  if (conditions.length === 0) return all
  const matching = sql`from series where channel_no = ${channelNo} and ${sql.join(conditions, sql` and `)}`
  const { rows: known } = await sql<SeriesRow & { is_plain: boolean }>`
    select ${SERIES_COLUMNS}, is_plain ${matching} limit ${MANY_SERIES + 1}`.execute(db)
  if (known.length === 0) return undefined
  if (known.length <= MANY_SERIES) {
    const isPlain = known.every((series) => series.is_plain)
    return { ...all, series: known.map(({ id }) => id), known, isPlain }
  }
  const { rows: listed } = await sql<{ id: number; is_plain: boolean }>`
    select id, is_plain ${matching} limit ${MAX_LISTED + 1}`.execute(db)
  if (listed.length > MAX_LISTED) return { ...all, matching: conditions }
  const isPlain = listed.every((series) => series.is_plain)
  return { ...all, series: listed.map(({ id }) => id), isPlain }
}

// What the index of series holds, and what it says of the rest.
const PLAIN_COLUMNS = sql`
  series_id, time, place, value, null::boolean as bool_value, null::text as string_value, null::jsonb as rest`

/**
 * The samples of a scope, as something to select from by the name `samples`.
 *
 * @param conditions on samples, all must hold
 * @param first how many are wanted at the most, of the first or last in time
 */
export function samplesOf(
  { channelNo, series, matching, isPlain }: Scope,
  conditions: readonly Expression<SqlBool>[],
  first?: { readonly dir: 'asc' | 'desc'; readonly limit: number },
): RawBuilder<unknown> {
  const where = (scope: RawBuilder<SqlBool>) => sql.join([scope, ...conditions], sql` and `)
  const order = first
    ? sql`order by time ${sql.raw(first.dir)}, place ${sql.raw(first.dir)} limit ${first.limit}`
    : sql``
  const columns = isPlain ? PLAIN_COLUMNS : sql`*`
  const whole = (scope: RawBuilder<SqlBool>) =>
    sql`(select ${columns} from samples where ${where(scope)} ${order}) as samples`
  const isOfChannel = sql<SqlBool>`channel_no = ${channelNo}`
  if (series === undefined && matching.length > 0) {
    const isWanted = sql.join(matching, sql` and `)
    return whole(
      sql`${isOfChannel} and series_id in (select id from series where ${isOfChannel} and ${isWanted})`,
    )
  }
  if (series === undefined) return whole(isOfChannel)
  if (series.length === 1) return whole(sql`series_id = ${series[0]}`)
  if (!first) return whole(sql`series_id = any(${series}::int[])`)
  if (series.length > MANY_SERIES) {
    return whole(sql`${isOfChannel} and series_id = any(${series}::int[])`)
  }
  return sql`(select each.* from unnest(${series}::int[]) as wanted cross join lateral
    (select ${columns} from samples where ${where(sql`series_id = wanted`)} ${order}) as each) as samples`
}

/** Conditions that a message's origin makes: for series and for JSON messages, whose columns have the same names. */
export function originConditions({
  subtopic,
  publisher,
  protocol,
}: Omit<SeriesFilter, 'names'>): RawBuilder<SqlBool>[] {
  const conditions: RawBuilder<SqlBool>[] = []
  if (subtopic !== undefined) conditions.push(sql`subtopic = ${subtopic}`)
  if (protocol !== undefined) conditions.push(sql`protocol = ${protocol}`)
  if (publisher !== undefined) {
    conditions.push(isUuid(publisher) ? sql`publisher = ${publisher}` : sql`false`)
  }
  return conditions
}

/** Conditions on samples: their time and what they hold. */
export function sampleConditions(filter: MessageFilter): RawBuilder<SqlBool>[] {
  const { value, boolValue, stringValue, dataValue, from, to, comparator } = filter
  const conditions: RawBuilder<SqlBool>[] = []
  if (from !== undefined) conditions.push(sql`time >= ${from}`)
  if (to !== undefined) conditions.push(sql`time < ${to}`)
  if (value !== undefined) conditions.push(sql`value ${sql.raw(COMPARISONS[comparator])} ${value}`)
  if (boolValue !== undefined) conditions.push(sql`bool_value = ${boolValue}`)
  if (stringValue !== undefined) conditions.push(textCondition(sql`string_value`, comparator, stringValue))
  if (dataValue !== undefined) conditions.push(textCondition(sql`rest ->> 'vd'`, comparator, dataValue))
  return conditions
}

/** How text compares (contract 16): equal; the stored text contains the given one (`ge`, `gt`) or is contained in it (`le`, `lt`). */
function textCondition(
  column: RawBuilder<unknown>,
  comparator: Comparator,
  given: string,
): RawBuilder<SqlBool> {
  switch (comparator) {
    case 'eq':
      return sql`${column} = ${given}`
    case 'ge':
      return sql`position(${given} in ${column}) > 0`
    case 'gt':
      return sql`position(${given} in ${column}) > 0 and ${column} <> ${given}`
    case 'le':
      return sql`position(${column} in ${given}) > 0`
    case 'lt':
      return sql`position(${column} in ${given}) > 0 and ${column} <> ${given}`
  }
}
