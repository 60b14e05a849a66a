import { sql } from 'kysely'
import type { SqlBool } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'
import type { MessageFilter } from './filter.ts'
import { isBehind, keyOf, orderBy } from './keyset.ts'
import type { Keyset } from './keyset.ts'
import { windowOf } from './repository.ts'
import type { ReadingRow, Selection } from './repository.ts'
import { findScope, sampleConditions } from './scope.ts'

/**
 * The last reading of each name that passes the filter, in the order of the names: one look into the index for each series,
 * however many readings there are. `undefined` when nothing of the kind was ever stored.
 */
export async function selectLatest(
  db: Db,
  channelId: string,
  filter: MessageFilter,
): Promise<Selection<ReadingRow> | undefined> {
  const scope = await findScope(db, channelId, filter)
  if (!scope) return undefined
  const { dir, cursor } = filter
  const keys: Keyset = { list: `latest:${dir}`, dir, columns: [{ column: 'name', type: 'text' }] }
  const ofScope = scope.series
    ? sql`series.id = any(${[...scope.series]}::int[])`
    : sql`series.channel_no = ${scope.channelNo}`
  const conditions = [sql<SqlBool>`samples.series_id = series.id`, ...sampleConditions(filter)]
  const behind = cursor === undefined ? sql<SqlBool>`true` : isBehind(keys, cursor)
  return {
    keyset: keys,
    total: 'in rows',
    rows: sql`
      with latest as (
        select distinct on (series.name) ${channelId}::uuid as channel_id, series.publisher, series.subtopic,
          series.protocol, series.name, series.unit, last.time, (last.rest ->> 'ut')::double precision as update_time,
          last.value, last.string_value, last.bool_value, last.rest ->> 'vd' as data_value,
          (last.rest ->> 's')::double precision as sum
        from series cross join lateral (
          select * from samples where ${sql.join(conditions, sql` and `)} order by time desc, place desc limit 1
        ) as last
        where ${ofScope} order by series.name, last.time desc, last.place desc
      )
      select page.*, counted.total from (select count(*) as total from latest) as counted
      left join (
        select ${keyOf(keys)} as cursor_key, * from latest where ${behind} order by ${orderBy(keys)} ${windowOf(filter)}
      ) as page on true order by ${orderBy(keys)}`,
  }
}
