import { sql } from 'kysely'
import type { Expression, SqlBool } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'
import type { Page } from '../../platform/db/listing.ts'
import type { JsonMessagesTable, ReadingsTable } from '../../platform/db/tables.ts'
import type { Comparator, MessageFilter } from './query.ts'
import type { Selectable } from 'kysely'

export type ReadingRow = Omit<Selectable<ReadingsTable>, 'stream_seq' | 'record' | 'domain_id'>
export type JsonMessageRow = Omit<Selectable<JsonMessagesTable>, 'stream_seq' | 'record' | 'domain_id'>

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const COMPARISONS: Readonly<Record<Comparator, string>> = { eq: '=', lt: '<', le: '<=', gt: '>', ge: '>=' }

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
  const where = sql.join(readingConditions(channelId, filter), sql` and `)
  const order = READING_ORDER.has(filter.order ?? '') ? (filter.order ?? 'time') : 'time'
  const dir = sql.raw(filter.dir)
  const page = sql<ReadingRow>`
    select channel_id, publisher, subtopic, protocol, name, unit, time, update_time, value, string_value, bool_value,
      data_value, sum
    from readings where ${where}
    order by ${sql.ref(order)} ${dir} nulls last, stream_seq ${dir}, record ${dir}
    limit ${filter.limit} offset ${filter.offset}`.execute(db)
  const count = sql<{ total: number }>`select count(*) as total from readings where ${where}`.execute(db)
  const [{ rows }, counted] = await Promise.all([page, count])
  return { total: counted.rows[0]?.total ?? 0, items: rows }
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
  const conditions = [...readingConditions(channelId, filter), sql<SqlBool>`value is not null`]
  const where = sql.join(conditions, sql` and `)
  const bucket = sql`floor(time / ${filter.intervalS}) * ${filter.intervalS}`
  const first = (column: string) => sql`(array_agg(${sql.ref(column)} order by time, stream_seq, record))[1]`
  const page = sql<BucketRow>`
    select ${bucket} as time, ${sql.raw(filter.aggregation ?? 'avg')}(value)::double precision as value,
      ${first('channel_id')} as channel_id, ${first('publisher')} as publisher, ${first('subtopic')} as subtopic,
      ${first('protocol')} as protocol, ${first('name')} as name, ${first('unit')} as unit
    from readings where ${where}
    group by 1 order by 1 ${sql.raw(filter.dir)} limit ${filter.limit} offset ${filter.offset}`.execute(db)
  const count = sql<{ total: number }>`
    select count(distinct ${bucket}) as total from readings where ${where}`.execute(db)
  const [{ rows }, counted] = await Promise.all([page, count])
  return { total: counted.rows[0]?.total ?? 0, items: rows }
}

/** Other JSON messages of a channel and format that pass the filter, a page of them. */
export async function listJsonMessages(
  db: Db,
  channelId: string,
  filter: MessageFilter,
): Promise<Page<JsonMessageRow>> {
  const conditions = [...originConditions(channelId, filter), sql<SqlBool>`format = ${filter.format}`]
  if (filter.from !== undefined) conditions.push(sql`created >= ${toNs(filter.from)}`)
  if (filter.to !== undefined) conditions.push(sql`created < ${toNs(filter.to)}`)
  const where = sql.join(conditions, sql` and `)
  const order = JSON_ORDER.has(filter.order ?? '') ? (filter.order ?? 'created') : 'created'
  const dir = sql.raw(filter.dir)
  const page = sql<JsonMessageRow>`
    select channel_id, publisher, subtopic, protocol, format, created, payload
    from json_messages where ${where}
    order by ${sql.ref(order)} ${dir}, stream_seq ${dir}, record ${dir}
    limit ${filter.limit} offset ${filter.offset}`.execute(db)
  const count = sql<{ total: number }>`select count(*) as total from json_messages where ${where}`.execute(db)
  const [{ rows }, counted] = await Promise.all([page, count])
  return { total: counted.rows[0]?.total ?? 0, items: rows }
}

// A moment beyond what the column holds compares like the column's own end.
const MAX_NS = 2n ** 63n - 1n

function toNs(seconds: number): string {
  const ns = BigInt(Math.round(seconds * 1e6)) * 1_000n
  return String(ns > MAX_NS ? MAX_NS : ns < -MAX_NS ? -MAX_NS : ns)
}

function originConditions(channelId: string, filter: MessageFilter): Expression<SqlBool>[] {
  const { subtopic, publisher, protocol } = filter
  const conditions: Expression<SqlBool>[] = [sql`channel_id = ${channelId}`]
  if (subtopic !== undefined) conditions.push(sql`subtopic = ${subtopic}`)
  if (protocol !== undefined) conditions.push(sql`protocol = ${protocol}`)
  if (publisher !== undefined) {
    conditions.push(UUID.test(publisher) ? sql`publisher = ${publisher}` : sql`false`)
  }
  return conditions
}

function readingConditions(channelId: string, filter: MessageFilter): Expression<SqlBool>[] {
  const { name, value, boolValue, stringValue, dataValue, from, to, comparator } = filter
  const conditions = originConditions(channelId, filter)
  if (name !== undefined) conditions.push(sql`name = ${name}`)
  if (from !== undefined) conditions.push(sql`time >= ${from}`)
  if (to !== undefined) conditions.push(sql`time < ${to}`)
  if (value !== undefined) conditions.push(sql`value ${sql.raw(COMPARISONS[comparator])} ${value}`)
  if (boolValue !== undefined) conditions.push(sql`bool_value = ${boolValue}`)
  if (stringValue !== undefined) conditions.push(textCondition('string_value', comparator, stringValue))
  if (dataValue !== undefined) conditions.push(textCondition('data_value', comparator, dataValue))
  return conditions
}

/** How text compares (contract 16): equal; the stored text contains the given one (`ge`, `gt`) or is contained in it (`le`, `lt`). */
function textCondition(name: string, comparator: Comparator, given: string): Expression<SqlBool> {
  const column = sql.ref(name)
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
