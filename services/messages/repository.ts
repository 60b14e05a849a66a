import { sql } from 'kysely'
import type { RawBuilder, Selectable, SqlBool } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'
import type { JsonMessagesTable, ReadingsView } from '../../platform/db/tables.ts'
import type { MessageFilter } from './filter.ts'
import { isBehind, keyOf, orderBy } from './keyset.ts'
import type { KeyColumn, Keyset } from './keyset.ts'
import { findScope, originConditions, sampleConditions, samplesOf } from './scope.ts'
import type { Scope } from './scope.ts'
import { countDays, countSamples } from './totals.ts'

export type ReadingRow = Omit<Selectable<ReadingsView>, 'stream_seq' | 'record' | 'domain_id'>
export type JsonMessageRow = Omit<
  Selectable<JsonMessagesTable>,
  'stream_seq' | 'record' | 'domain_id' | 'created'
> & {
  /** All the digits of `created`. */
  readonly created_ns: string
}

/** A row beside what a cursor says of it. */
export type Keyed<Row> = Row & { readonly cursor_key: unknown[]; readonly total?: number }

/** How to ask for rows: the statement, how many there are in all, and what the cursors of its pages are like. */
export interface Selection<Row> {
  readonly rows: RawBuilder<Keyed<Row>>
  readonly keyset: Keyset
  /** Of all pages together, without the cursor; where it costs nothing, it stands in each row instead. */
  readonly total: (() => Promise<number>) | 'in rows'
}

/** What each name of the contract orders by, and the type to compare it as; a name that is not here means the default. */
const READING_ORDER = new Map<string, KeyColumn['type']>([
  ['value', 'double precision'],
  ['bool_value', 'boolean'],
  ['string_value', 'text'],
  ['data_value', 'text'],
  ['publisher', 'uuid'],
  ['name', 'text'],
  ['protocol', 'text'],
  ['subtopic', 'text'],
  ['unit', 'text'],
  ['sum', 'double precision'],
])
const JSON_ORDER = new Map<string, KeyColumn['type']>([
  ['subtopic', 'text'],
  ['publisher', 'uuid'],
  ['protocol', 'text'],
])

/** Readings of a channel that pass the filter; `undefined` when nothing of the kind was ever stored. */
export async function selectReadings(
  db: Db,
  channelId: string,
  filter: MessageFilter,
): Promise<Selection<ReadingRow> | undefined> {
  const scope = await findScope(db, channelId, filter)
  if (!scope) return undefined
  const order = filter.order ?? 'time'
  const type = READING_ORDER.get(order)
  const keys: Keyset = {
    list: `readings:${type === undefined ? 'time' : order}:${filter.dir}`,
    dir: filter.dir,
    columns: [
      ...(type === undefined ? [] : [{ column: order, type, isNullable: true }]),
      { column: 'time', type: 'double precision' },
      { column: 'place', type: 'bigint' },
    ],
  }
  return {
    rows: readingRows(channelId, scope, filter, keys, type === undefined),
    keyset: keys,
    total: () => countSamples(db, channelId, scope, filter),
  }
}

function readingRows(
  channelId: string,
  scope: Scope,
  filter: MessageFilter,
  keys: Keyset,
  isByTime: boolean,
): RawBuilder<Keyed<ReadingRow>> {
  const { offset, limit, dir, cursor } = filter
  const behind = cursor === undefined ? undefined : isBehind(keys, cursor)
  // In the order of time the index ends each walk early; in any other, all that matches is looked at once a page.
  const inside = isByTime && behind ? [behind] : []
  const outside = !isByTime && behind ? behind : sql<SqlBool>`true`
  const first = isByTime && limit !== undefined ? { dir, limit: offset + limit + 1 } : undefined
  return sql`
    select ${keyOf(keys)} as cursor_key, page.* from (
      select ${channelId}::uuid as channel_id, publisher, subtopic, protocol, name, unit, time,
        (rest ->> 'ut')::double precision as update_time, value, string_value, bool_value, rest ->> 'vd' as data_value,
        (rest ->> 's')::double precision as sum, place
      from ${samplesOf(scope, [...sampleConditions(filter), ...inside], first)} join series on series.id = series_id
    ) as page where ${outside} order by ${orderBy(keys)} ${windowOf(filter)}`
}

/** One more than the page, which tells whether there is another. */
export function windowOf({ limit, offset }: Pick<MessageFilter, 'limit' | 'offset'>): RawBuilder<unknown> {
  return limit === undefined ? sql`offset ${offset}` : sql`limit ${limit + 1} offset ${offset}`
}

/** Other JSON messages of a channel and format that pass the filter. */
export function selectJsonMessages(
  db: Db,
  channelId: string,
  filter: MessageFilter,
): Selection<JsonMessageRow> {
  const { dir, format, cursor } = filter
  const conditions = originConditions(filter)
  if (filter.from !== undefined) conditions.push(sql`created >= ${toNs(filter.from)}`)
  if (filter.to !== undefined) conditions.push(sql`created < ${toNs(filter.to)}`)
  const isWhole = conditions.length === 0
  conditions.push(sql`channel_id = ${channelId}`, sql`format = ${format}`)
  const order = filter.order ?? 'created'
  const type = JSON_ORDER.get(order)
  const keys: Keyset = {
    list: `json:${type === undefined ? 'created' : order}:${dir}`,
    dir,
    columns: [
      type === undefined ? { column: 'created', type: 'bigint' } : { column: order, type, isNullable: true },
      { column: 'stream_seq', type: 'bigint' },
      { column: 'record', type: 'int' },
    ],
  }
  const where = sql.join(conditions, sql` and `)
  const behind = cursor === undefined ? sql<SqlBool>`true` : isBehind(keys, cursor)
  return {
    rows: sql`
      select ${keyOf(keys)} as cursor_key, channel_id, publisher, subtopic, protocol, format,
        created::text as created_ns, payload
      from json_messages where ${where} and ${behind}
      order by ${orderBy(keys)} ${windowOf(filter)}`,
    keyset: keys,
    async total() {
      if (isWhole) return countDays(db, channelId, `json:${format}`)
      const { rows } = await sql<{ total: number }>`
        select count(*) as total from json_messages where ${where}`.execute(db)
      return rows[0]?.total ?? 0
    },
  }
}

// A moment beyond what the column holds compares like the column's own end.
const MAX_NS = 2n ** 63n - 1n

function toNs(seconds: number): string {
  const ns = BigInt(Math.round(seconds * 1e6)) * 1_000n
  return String(ns > MAX_NS ? MAX_NS : ns < -MAX_NS ? -MAX_NS : ns)
}
