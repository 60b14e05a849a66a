import { sql } from 'kysely'
import type { SqlBool } from 'kysely'
import type { MessageFilter } from './filter.ts'
import { isBehind, listOf, orderBy } from './keyset.ts'
import type { Keyset } from './keyset.ts'
import { SAMPLE, windowOf } from './repository.ts'
import type { SampleRow, Selection } from './repository.ts'
import { sampleConditions } from './scope.ts'
import type { Scope } from './scope.ts'

/**
 * The last reading of each name that passes the filter, in the order of the names: one look into the index for each series,
 * however many readings there are.
 */
export function selectLatest(scope: Scope, filter: MessageFilter): Selection<SampleRow> {
  const { dir, cursor } = filter
  const keys: Keyset = {
    list: listOf('latest', scope.channelNo, filter),
    dir,
    columns: [{ column: 'name', type: 'text' }],
  }
  const ofScope = scope.series
    ? sql`series.id = any(${[...scope.series]}::int[])`
    : sql.join([sql`series.channel_no = ${scope.channelNo}`, ...scope.matching], sql` and `)
  const conditions = [sql<SqlBool>`samples.series_id = series.id`, ...sampleConditions(filter)]
  const behind = cursor === undefined ? sql<SqlBool>`true` : isBehind(keys, cursor)
  return {
    keyset: keys,
    isSmall: scope.isPlain,
    total: 'in rows',
    rows: sql`
      with latest as (
        select distinct on (series.name) series.name, last.*
        from series cross join lateral (
          select * from samples where ${sql.join(conditions, sql` and `)} order by time desc, place desc limit 1
        ) as last
        where ${ofScope} order by series.name, last.time desc, last.place desc
      )
      select ${SAMPLE}, page.name, counted.total from (select count(*) as total from latest) as counted
      left join (
        select * from latest as page where ${behind} order by ${orderBy(keys)} ${windowOf(filter)}
      ) as page on true order by ${orderBy(keys)}`,
  }
}
