import { sql } from 'kysely'
import type { Selectable, SqlBool } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'
import type { Page } from '../../platform/db/listing.ts'
import type { JsonMessagesTable, ReadingsView } from '../../platform/db/tables.ts'
import type { MessageFilter } from './query.ts'
import { findScope, originConditions, sampleConditions, samplesOf } from './scope.ts'
import type { Scope } from './scope.ts'
import { countDays, countSamples } from './totals.ts'

export type ReadingRow = Omit<Selectable<ReadingsView>, 'stream_seq' | 'record' | 'domain_id'>
export type JsonMessageRow = Omit<Selectable<JsonMessagesTable>, 'stream_seq' | 'record' | 'domain_id'>

// Names of the contract and the columns they order by; a name that is not here means the default.
const READING_ORDER = new Set([
  'time',
  'value',
  'bool_value',
  'string_value',
  'data_value',
  'publisher',
  'name',
  'protocol',
  'subtopic',
  'unit',
  'sum',
])
const JSON_ORDER = new Set(['created', 'subtopic', 'publisher', 'protocol'])

/** Readings of a channel that pass the filter, a page of them. */
export async function listReadings(
  db: Db,
  channelId: string,
  filter: MessageFilter,
): Promise<Page<ReadingRow>> {
  const scope = await findScope(db, channelId, filter)
  if (!scope) return { total: 0, items: [] }
  const [{ rows }, total] = await Promise.all([
    selectReadings(channelId, scope, filter).execute(db),
    countSamples(db, channelId, scope, filter),
  ])
  return { total, items: rows }
}

function selectReadings(channelId: string, scope: Scope, filter: MessageFilter) {
  const { offset, limit, dir } = filter
  const order = READING_ORDER.has(filter.order ?? '') ? (filter.order ?? 'time') : 'time'
  const first = order === 'time' ? { dir, limit: offset + limit } : undefined
  return sql<ReadingRow>`
    select ${channelId}::uuid as channel_id, publisher, subtopic, protocol, name, unit, time,
      (rest ->> 'ut')::double precision as update_time, value, string_value, bool_value, rest ->> 'vd' as data_value,
      (rest ->> 's')::double precision as sum
    from ${samplesOf(scope, sampleConditions(filter), first)} join series on series.id = series_id
    order by ${sql.ref(order)} ${sql.raw(dir)} nulls last, time ${sql.raw(dir)}, place ${sql.raw(dir)}
    limit ${limit} offset ${offset}`
}

export type BucketRow = Pick<
  ReadingRow,
  'channel_id' | 'publisher' | 'subtopic' | 'protocol' | 'name' | 'unit' | 'time'
> & { value: number | null }

/**
 * One row for each interval that holds a number, counted from the Unix epoch; what is not aggregated comes from the first
 * record of the interval.
 */
export async function listBuckets(
  db: Db,
  channelId: string,
  filter: MessageFilter,
): Promise<Page<BucketRow>> {
  const scope = await findScope(db, channelId, filter)
  if (!scope) return { total: 0, items: [] }
  const samples = samplesOf(scope, [...sampleConditions(filter), sql<SqlBool>`value is not null`])
  // Of one series all records say the same; without place and order the index has all there is to read.
  const first =
    scope.series?.length === 1 ? sql`min(series_id)` : sql`(array_agg(series_id order by time, place))[1]`
  const { rows } = await sql<BucketRow & { total: number }>`
    with buckets as (
      select floor(time / ${filter.intervalS}) * ${filter.intervalS} as time, ${first} as series_id,
        ${sql.raw(filter.aggregation ?? 'avg')}(value)::double precision as value
      from ${samples} group by 1
    )
    select time, value, ${channelId}::uuid as channel_id, publisher, subtopic, protocol, name, unit, total
    from (select count(*) as total from buckets) as counted
    left join (
      select * from buckets order by time ${sql.raw(filter.dir)} limit ${filter.limit} offset ${filter.offset}
    ) as page on true
    left join series on series.id = series_id order by time ${sql.raw(filter.dir)}`.execute(db)
  // A page behind the last bucket is one row that has the total alone.
  return { total: rows[0]?.total ?? 0, items: rows.filter(({ time }) => time !== null) }
}

/** Other JSON messages of a channel and format that pass the filter, a page of them. */
export async function listJsonMessages(
  db: Db,
  channelId: string,
  filter: MessageFilter,
): Promise<Page<JsonMessageRow>> {
  const conditions = originConditions(filter)
  if (filter.from !== undefined) conditions.push(sql`created >= ${toNs(filter.from)}`)
  if (filter.to !== undefined) conditions.push(sql`created < ${toNs(filter.to)}`)
  const isWhole = conditions.length === 0
  conditions.push(sql`channel_id = ${channelId}`, sql`format = ${filter.format}`)
  const where = sql.join(conditions, sql` and `)
  const order = JSON_ORDER.has(filter.order ?? '') ? (filter.order ?? 'created') : 'created'
  const dir = sql.raw(filter.dir)
  const page = sql<JsonMessageRow>`
    select channel_id, publisher, subtopic, protocol, format, created, payload
    from json_messages where ${where}
    order by ${sql.ref(order)} ${dir}, stream_seq ${dir}, record ${dir}
    limit ${filter.limit} offset ${filter.offset}`.execute(db)
  const count = sql<{ total: number }>`select count(*) as total from json_messages where ${where}`
  const [{ rows }, total] = await Promise.all([
    page,
    isWhole
      ? countDays(db, channelId, `json:${filter.format}`)
      : count.execute(db).then((counted) => counted.rows[0]?.total ?? 0),
  ])
  return { total, items: rows }
}

// A moment beyond what the column holds compares like the column's own end.
const MAX_NS = 2n ** 63n - 1n

function toNs(seconds: number): string {
  const ns = BigInt(Math.round(seconds * 1e6)) * 1_000n
  return String(ns > MAX_NS ? MAX_NS : ns < -MAX_NS ? -MAX_NS : ns)
}
