import { sql } from 'kysely'
import type { RawBuilder, SqlBool } from 'kysely'
import type { Aggregation, Fill, MessageFilter } from './filter.ts'
import { isBehind, listOf, orderBy } from './keyset.ts'
import type { Keyset } from './keyset.ts'
import { windowOf } from './repository.ts'
import type { SampleRow, Selection } from './repository.ts'
import { sampleConditions, samplesOf } from './scope.ts'
import type { Scope } from './scope.ts'

/** A question whose bounds have been checked. */
export type BucketFilter = MessageFilter & { readonly from: number; readonly to: number }

/**
 * One row for each interval that holds a number, counted from the Unix epoch, and for each name where several are asked for;
 * with a fill, one for each interval whatever it holds. What is not aggregated comes from the first record of the interval.
 */
export function selectBuckets(scope: Scope, filter: BucketFilter): Selection<SampleRow> {
  const { dir, intervalS, fill, cursor } = filter
  const isByName = (filter.names?.length ?? 1) > 1
  const keys: Keyset = {
    list: listOf('buckets', scope.channelNo, filter),
    dir,
    columns: [
      { column: 'n', type: 'bigint' },
      { column: 'by_name', type: 'text' },
    ],
  }
  const buckets = fill === undefined ? sql`select * from found` : filled(scope, filter, isByName, fill)
  const behind = cursor === undefined ? sql<SqlBool>`true` : isBehind(keys, cursor)
  return {
    keyset: keys,
    isSmall: true,
    total: 'in rows',
    // A page behind the last bucket is one row that has the total alone.
    rows: sql`
      with found as (${aggregated(scope, filter, isByName)}), buckets as (${buckets})
      select page.n::text as n, page.by_name, page.series_id, page.n * ${intervalS}::double precision as time, page.value,
        counted.total
      from (select count(*) as total from buckets) as counted
      left join (
        select * from buckets as page where ${behind} order by ${orderBy(keys)} ${windowOf(filter)}
      ) as page on true order by ${orderBy(keys)}`,
  }
}

function aggregated(scope: Scope, filter: BucketFilter, isByName: boolean): RawBuilder<unknown> {
  const { aggregation = 'avg', intervalS } = filter
  const conditions = [...sampleConditions(filter), sql<SqlBool>`samples.value is not null`]
  const samples = samplesOf(scope, conditions)
  // Of one series all records say the same; without place and order the index has all there is to read.
  const first =
    scope.series?.length === 1
      ? sql`min(series_id)`
      : sql`(array_agg(series_id order by samples.time, samples.place))[1]`
  const byName = isByName ? sql`series.name` : sql`''::text`
  return sql`
    select floor(samples.time / ${intervalS})::bigint as n, ${byName} as by_name, ${first} as series_id,
      (${valueOf(aggregation)})::double precision as value
    from ${samples} ${isByName ? sql`join series on series.id = samples.series_id` : sql``} group by 1, 2`
}

function valueOf(aggregation: Aggregation): RawBuilder<unknown> {
  switch (aggregation) {
    case 'first':
      return sql`(array_agg(samples.value order by samples.time, samples.place))[1]`
    case 'last':
      return sql`(array_agg(samples.value order by samples.time desc, samples.place desc))[1]`
    case 'avg':
    case 'sum': {
      const isSafe = sql`abs(samples.value) < ${SUMMABLE}`
      return sql`case when max(abs(samples.value)) < ${SUMMABLE}
        then ${sql.raw(aggregation)}(samples.value) filter (where ${isSafe}) end`
    }
    case 'max':
    case 'min':
    case 'count':
      return sql`${sql.raw(aggregation)}(samples.value)`
  }
}

/**
 * Postgres ends the whole query when a sum leaves what a double holds, and its averages sum squares, too. An interval with a
 * number as large as this one has neither, so that one sensor does not take everybody's.
 */
const SUMMABLE = sql`1e150::double precision`

/**
 * Every interval of the time asked for, the empty ones with a value out of their neighbours. An interval and all empty ones
 * behind it have seen the same number of values, counted from either end, and so find each other.
 */
function filled(scope: Scope, filter: BucketFilter, isByName: boolean, fill: Fill): RawBuilder<unknown> {
  const { from, to, intervalS } = filter
  const known = sql`case when value is not null then n end`
  const [before, behind] = [sql`max(${LINKABLE}) over before`, sql`max(${LINKABLE}) over behind`]
  const value = {
    null: sql`value`,
    previous: sql`coalesce(max(value) over before, earlier)`,
    linear: sql`coalesce(value, ${before} + (${behind} - ${before})
      * (n - max(${known}) over before)::double precision / (max(${known}) over behind - max(${known}) over before))`,
  }[fill]
  // `offset 0`: once for each name, and not for each of its intervals.
  const earlier = fill === 'previous' ? valueBefore(scope, filter) : sql`null::double precision`
  return sql`
    select n, by_name, ${value} as value,
      coalesce(series_id, min(series_id) over (partition by by_name), any_series) as series_id
    from (
      select n, by_name, value, series_id, any_series, earlier,
        count(value) over (partition by by_name order by n) as seen_before,
        count(value) over (partition by by_name order by n desc) as seen_behind
      from generate_series(floor(${from}::double precision / ${intervalS})::bigint,
          ceil(${to}::double precision / ${intervalS})::bigint - 1) as n
        cross join (select names.*, ${earlier} as earlier from (${namesOf(scope, isByName)}) as names offset 0) as names
        left join found using (n, by_name)
    ) as counted
    window before as (partition by by_name, seen_before), behind as (partition by by_name, seen_behind)`
}

/** Between numbers as large or as small as these Postgres would not draw a line, and end the whole query. */
const LINKABLE = sql`case when value = 0 or abs(value) between 1e-290 and 1e300 then value end`

/** The names that have intervals, whether something is found or not, each with its series. */
function namesOf({ channelNo, series }: Scope, isByName: boolean): RawBuilder<unknown> {
  if (series === undefined) {
    return sql`(select ''::text as by_name, id as any_series, null::int[] as all_series from series
      where channel_no = ${channelNo} order by name limit 1)`
  }
  const name = isByName ? sql`name` : sql`''::text`
  return sql`select ${name} as by_name, min(id) as any_series, array_agg(id) as all_series from series
    where id = any(${series}::int[]) group by 1`
}

/** How far back a value is looked for: in readings of each series; of the channel where there are many series. */
const LOOK_BACK = 100
const LOOK_BACK_CHANNEL = 10_000
const MANY_SERIES = 1_000

/**
 * The last number of a name before the time asked for: what the empty intervals at its beginning still hold. Of sums and
 * counts nothing holds on.
 */
function valueBefore({ channelNo, series }: Scope, filter: BucketFilter): RawBuilder<unknown> {
  const { aggregation, from } = filter
  if (aggregation === 'sum' || aggregation === 'count') return sql`null::double precision`
  const conditions = [
    sql<SqlBool>`value is not null`,
    ...sampleConditions({ ...filter, from: undefined, to: undefined }),
  ]
  const passes = sql.join(conditions, sql` and `)
  const last = (where: RawBuilder<SqlBool>, limit: number) => sql`
    select * from samples where ${where} and time < ${from} order by time desc, place desc limit ${limit}`
  if (series === undefined || series.length > MANY_SERIES) {
    return sql`(select value from (${last(sql`channel_no = ${channelNo}`, LOOK_BACK_CHANNEL)}) as samples
      where ${passes} and (all_series is null or series_id = any(all_series)) order by time desc, place desc limit 1)`
  }
  return sql`(select value from unnest(all_series) as wanted cross join lateral (
      select time, place, value from (${last(sql`series_id = wanted`, LOOK_BACK)}) as samples
      where ${passes} order by time desc, place desc limit 1
    ) as each order by time desc, place desc limit 1)`
}
