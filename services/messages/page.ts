import type { Db } from '../../platform/db/connect.ts'
import { selectBuckets } from './buckets.ts'
import type { BucketFilter } from './buckets.ts'
import type { MessageFilter } from './filter.ts'
import { cursorBehind, readCursor } from './keyset.ts'
import { selectLatest } from './latest.ts'
import { presentBucket, presentJson, presentReading } from './present.ts'
import { selectJsonMessages, selectReadings } from './repository.ts'
import type { Keyed, Selection } from './repository.ts'

/** What a question is answered with: rows of one kind, and how to show one. */
export interface Answer<Row> {
  /** `undefined`: nothing of the kind was ever stored. */
  readonly selection: Selection<Row> | undefined
  readonly present: (row: Row) => object
}

export type PageFilter = MessageFilter & { readonly limit: number }

/** Which of the four kinds of question this is. */
export function ask(db: Db, channelId: string, filter: MessageFilter): Promise<Answer<object>> {
  // Each `present` is asked about rows of its own selection alone.
  return askAny(db, channelId, filter) as Promise<unknown> as Promise<Answer<object>>
}

async function askAny(db: Db, channelId: string, filter: MessageFilter) {
  if (filter.format !== 'messages') {
    return { selection: selectJsonMessages(db, channelId, filter), present: presentJson }
  }
  if (filter.aggregation !== undefined) {
    // The bounds were asked for when the question was checked.
    const selection = await selectBuckets(db, channelId, filter as BucketFilter)
    return { selection, present: presentBucket }
  }
  const select = filter.isLatest ? selectLatest : selectReadings
  return { selection: await select(db, channelId, filter), present: presentReading }
}

/**
 * One page of what a channel has for a question, with the cursor of the next.
 *
 * @throws {InvalidInput} a cursor of another question
 */
export async function readPage(db: Db, channelId: string, filter: PageFilter) {
  const { selection, present } = await ask(db, channelId, filter)
  if (!selection) return { total: 0, messages: [], cursor: undefined }
  const { rows } = await selection.rows.execute(db)
  // A page behind the last row may be one row that has the total alone.
  const found = rows.filter(({ cursor_key: key }) => key !== null)
  const total = await totalOf(selection, filter, rows)
  const page = found.slice(0, filter.limit)
  const last = found.length > filter.limit ? page.at(-1) : undefined
  return {
    total,
    messages: page.map(present),
    cursor: last && cursorBehind(selection.keyset, last.cursor_key, total),
  }
}

async function totalOf<Row>(
  { keyset, total }: Selection<Row>,
  { cursor, offset, limit }: PageFilter,
  rows: readonly Pick<Keyed<object>, 'total'>[],
): Promise<number> {
  if (cursor !== undefined) return readCursor(keyset, cursor).total
  if (total === 'in rows') return rows[0]?.total ?? 0
  // The last page says itself how many there are; that spares dashboards the count.
  const isLast = rows.length <= limit && (rows.length > 0 || offset === 0)
  return isLast ? offset + rows.length : total()
}
