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
  const buckets = fill === undefined ? sql`select * from found` : filled(filter, fill)
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
    case 'max':
    case 'min':
    case 'avg':
    case 'sum':
    case 'count':
      return sql`${sql.raw(aggregation)}(samples.value)`
  }
}

/**
 * Every interval of the time asked for, the empty ones with a value out of their neighbours. An interval and all empty ones
 * behind it have seen the same number of values, counted from either end, and so find each other.
 */
function filled({ from, to, intervalS }: BucketFilter, fill: Fill): RawBuilder<unknown> {
  const known = sql`case when value is not null then n end`
  const value = {
    null: sql`value`,
    previous: sql`max(value) over before`,
    linear: sql`coalesce(value, max(value) over before + (max(value) over behind - max(value) over before)
      * (n - max(${known}) over before)::double precision / (max(${known}) over behind - max(${known}) over before))`,
  }[fill]
  return sql`
    select n, by_name, ${value} as value, coalesce(series_id, min(series_id) over (partition by by_name)) as series_id
    from (
      select n, by_name, value, series_id, count(value) over (partition by by_name order by n) as seen_before,
        count(value) over (partition by by_name order by n desc) as seen_behind
      from generate_series(floor(${from}::double precision / ${intervalS})::bigint,
          ceil(${to}::double precision / ${intervalS})::bigint - 1) as n
        cross join (select distinct by_name from found) as names
        left join found using (n, by_name)
    ) as counted
    window before as (partition by by_name, seen_before), behind as (partition by by_name, seen_behind)`
}
