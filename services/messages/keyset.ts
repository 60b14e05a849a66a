import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import type { RawBuilder, SqlBool } from 'kysely'
import { z } from 'zod'
import { decodeCursor, encodeCursor } from './cursor.ts'
import type { MessageFilter } from './filter.ts'

const MAX_BIGINT = 2n ** 63n - 1n
/** A cursor travels in a URL. */
const MAX_TEXT = 1_024

/** What a value of each type of Postgres looks like in a cursor. */
const TYPES = {
  'double precision': z.number(),
  int: z.int32(),
  // Text, because it is beyond the integers of a double.
  bigint: z
    .string()
    .regex(/^-?\d{1,19}$/)
    .refine((text) => BigInt(text) <= MAX_BIGINT && BigInt(text) >= -MAX_BIGINT),
  boolean: z.boolean(),
  uuid: z.guid(),
  text: z
    .string()
    .max(MAX_TEXT)
    .refine((text) => !text.includes('\0')),
} as const

/** A column that rows are ordered by. */
export interface KeyColumn {
  readonly column: string
  readonly type: keyof typeof TYPES
  /** Only of a first column; its nulls come last. */
  readonly isNullable?: boolean
}

/**
 * What a list is ordered by, its last columns unique, and so what names a place in it. Its rows have these columns, those of
 * type bigint as text; in its statement they are columns of `page`.
 */
export interface Keyset {
  /** What {@link listOf} calls it. */
  readonly list: string
  readonly columns: readonly KeyColumn[]
  readonly dir: 'asc' | 'desc'
}

/**
 * Names a list in its cursors so that they are taken for no other: of another channel, by another filter, in another order.
 * How much of it a page has is none of its business.
 */
export function listOf(
  kind: string,
  channel: string | number,
  { offset: _offset, limit: _limit, cursor: _cursor, ...filter }: MessageFilter,
): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([channel, filter]))
    .digest('base64url')
  return `${kind}:${hash.slice(0, 16)}`
}

/** Names the table: a column of the answer may have the same name and be the text of it. */
export function orderBy({ columns, dir }: Keyset): RawBuilder<unknown> {
  const direction = sql.raw(dir)
  return sql.join(
    columns.map(({ column, isNullable }) => {
      const value = sql.ref(`page.${column}`)
      return isNullable ? sql`${value} ${direction} nulls last` : sql`${value} ${direction}`
    }),
  )
}

const keyOf = ({ columns }: Keyset, row: object): unknown[] =>
  columns.map(({ column }) => (row as Readonly<Record<string, unknown>>)[column])

/** Whether a row is one of the list, and not only there to say something of the list as a whole. */
export function isRow(keyset: Keyset, row: object): boolean {
  return keyOf(keyset, row).at(-1) !== null
}

/**
 * The cursor behind a row. It carries the number of all rows, too, so that it is counted once and not for each page.
 *
 * @returns `undefined` when the row is ordered by a text that is too long to carry around
 */
export function cursorBehind(keyset: Keyset, row: object, total: number): string | undefined {
  const key = keyOf(keyset, row)
  const isLong = key.some((part) => typeof part === 'string' && part.length > MAX_TEXT)
  return isLong ? undefined : encodeCursor(keyset.list, [total, ...key])
}

/** @throws {InvalidInput} not a cursor of this list */
export function readCursor({ list, columns }: Keyset, cursor: string) {
  const parts = columns.map(({ type, isNullable }) => (isNullable ? TYPES[type].nullable() : TYPES[type]))
  const schema: z.ZodType<unknown[]> = z.tuple([z.number().int().min(0), ...parts])
  const [total, ...key] = decodeCursor(list, schema, cursor)
  return { total: Number(total), key }
}

/**
 * The rows behind a place, found by comparing and not by counting: as cheap at any depth, and neither moved nor doubled by
 * rows that come in between.
 *
 * @throws {InvalidInput} not a cursor of this list
 */
export function isBehind(keyset: Keyset, cursor: string): RawBuilder<SqlBool> {
  const { key } = readCursor(keyset, cursor)
  const compare = sql.raw(keyset.dir === 'asc' ? '>' : '<')
  const given = keyset.columns.map((column, index) => ({ ...column, value: key[index] }))
  const [lead] = given
  const rest = lead?.isNullable ? given.slice(1) : given
  const columns = rest.map(({ column }) => sql.ref(column))
  const values = rest.map(({ value, type }) => sql`${value}::${sql.raw(type)}`)
  // The first column by itself as well: that is what partitions are sorted out by.
  const isRestBehind = sql<SqlBool>`(${columns[0]} ${compare}= ${values[0]}
    and (${sql.join(columns)}) ${compare} (${sql.join(values)}))`
  if (!lead?.isNullable) return isRestBehind
  const column = sql.ref(lead.column)
  if (lead.value === null) return sql`(${column} is null and ${isRestBehind})`
  const value = sql`${lead.value}::${sql.raw(lead.type)}`
  return sql`(${column} ${compare} ${value} or ${column} is null or (${column} = ${value} and ${isRestBehind}))`
}
