import { sql } from 'kysely'
import type { RawBuilder, Selectable, SqlBool } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'
import type { JsonMessagesTable, SamplesTable } from '../../platform/db/tables.ts'
import type { MessageFilter } from './filter.ts'
import { isBehind, isRow, listOf, orderBy } from './keyset.ts'
import type { KeyColumn, Keyset } from './keyset.ts'
import { originConditions, sampleConditions, samplesOf } from './scope.ts'
import type { Scope } from './scope.ts'
import type { ChannelState } from './state.ts'
import { countDays, countSamples } from './totals.ts'

/** A sample, or a bucket of them, which has a time and a value alone. What its series says is not in it. */
export type SampleRow = Pick<Selectable<SamplesTable>, 'series_id' | 'time' | 'value'> &
  Partial<Pick<Selectable<SamplesTable>, 'bool_value' | 'string_value'>> & {
    readonly rest?: { readonly vd?: string; readonly s?: number; readonly ut?: number } | null
  }
export type JsonMessageRow = Omit<
  Selectable<JsonMessagesTable>,
  'stream_seq' | 'record' | 'domain_id' | 'format' | 'created' | 'payload'
> & {
  /** All the digits. */
  readonly created: string
  /** JSON, with all the digits of its numbers. */
  readonly payload: string
}

/** A row, beside the columns of its keyset. */
export type Keyed<Row> = Row & { readonly total?: number }

/** How to ask for rows: the statement, how many there are in all, and what the cursors of its pages are like. */
export interface Selection<Row> {
  readonly rows: RawBuilder<Keyed<Row>>
  readonly keyset: Keyset
  /** Whether no row has more than numbers. */
  readonly isSmall: boolean
  /** Of all pages together, without the cursor; where it costs nothing, it stands in each row instead. */
  readonly total: (() => Promise<number>) | 'in rows'
}

/** Rows of the answer to a selection. Where the total stands in each, there is one that has nothing else when there is no other. */
export function rowsOf<Row extends object>(
  { keyset, total }: Selection<Row>,
  rows: readonly Row[],
): readonly Row[] {
  return total === 'in rows' ? rows.filter((row) => isRow(keyset, row)) : rows
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

/** Readings of a channel that pass the filter. */
export function selectReadings(
  db: Db,
  channel: ChannelState,
  scope: Scope,
  filter: MessageFilter,
): Selection<SampleRow> {
  const order = filter.order ?? 'time'
  const type = READING_ORDER.get(order)
  const keys: Keyset = {
    list: listOf('readings', scope.channelNo, filter),
    dir: filter.dir,
    columns: [
      ...(type === undefined ? [] : [{ column: order, type, isNullable: true }]),
      { column: 'time', type: 'double precision' },
      { column: 'place', type: 'bigint' },
    ],
  }
  return {
    rows: type === undefined ? samplesByTime(scope, filter, keys) : samplesBy(order, scope, filter, keys),
    keyset: keys,
    // The column that orders is in the row, too.
    isSmall: scope.isPlain && type !== 'text',
    total: () => countSamples(db, channel, scope, filter),
  }
}

/** Columns of `page` that a sample is shown by. */
export const SAMPLE = sql`page.series_id, page.time, page.value, page.bool_value, page.string_value, page.rest`

/** In the order of time the index ends each walk early. */
function samplesByTime(scope: Scope, filter: MessageFilter, keys: Keyset): RawBuilder<Keyed<SampleRow>> {
  const { offset, limit, dir, cursor } = filter
  const conditions = sampleConditions(filter)
  if (cursor !== undefined) conditions.push(isBehind(keys, cursor))
  const first = limit === undefined ? undefined : { dir, limit: offset + limit + 1 }
  return sql`
    select ${SAMPLE}, page.place::text as place
    from (select * from ${samplesOf(scope, conditions, first)}) as page
    order by ${orderBy(keys)} ${windowOf(filter)}`
}

/** In any other order, all that matches is looked at once a page. */
function samplesBy(
  order: string,
  scope: Scope,
  filter: MessageFilter,
  keys: Keyset,
): RawBuilder<Keyed<SampleRow>> {
  const behind = filter.cursor === undefined ? sql<SqlBool>`true` : isBehind(keys, filter.cursor)
  return sql`
    select ${SAMPLE}, page.place::text as place, page.${sql.ref(order)} from (
      select samples.*, rest ->> 'vd' as data_value, (rest ->> 's')::double precision as sum, publisher, subtopic, protocol,
        name, unit
      from ${samplesOf(scope, sampleConditions(filter))} join series on series.id = series_id
    ) as page where ${behind} order by ${orderBy(keys)} ${windowOf(filter)}`
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
    list: listOf('json', channelId, filter),
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
      select channel_id, publisher, subtopic, protocol, created::text as created, payload::text as payload,
        stream_seq::text as stream_seq, record
      from json_messages as page where ${where} and ${behind}
      order by ${orderBy(keys)} ${windowOf(filter)}`,
    keyset: keys,
    isSmall: false,
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
