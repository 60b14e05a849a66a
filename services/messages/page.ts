import type { Db } from '../../platform/db/connect.ts'
import { createPace, fetchBatches } from './batches.ts'
import { selectBuckets } from './buckets.ts'
import type { BucketFilter } from './buckets.ts'
import type { MessageFilter } from './filter.ts'
import { toJson } from './json.ts'
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

/** What a page is written in at the most, as long as it has one message; what does not fit is behind its cursor. */
const MAX_PAGE_BYTES = 4_194_304

/**
 * One page of what a channel has for a question, its messages in JSON, with the cursor of the next.
 *
 * @throws {InvalidInput} a cursor of another question
 */
export async function readPage(db: Db, channelId: string, filter: PageFilter) {
  const { selection, present } = await ask(db, channelId, filter)
  if (!selection) return { total: 0, messages: [], cursor: undefined }
  const page = await collect(db, selection, present, filter.limit)
  const total = await totalOf(selection, filter, page)
  const { messages, last, hasMore } = page
  return {
    total,
    messages,
    cursor: hasMore && last ? cursorBehind(selection.keyset, last.cursor_key, total) : undefined,
  }
}

interface Collected<Row> {
  /** In JSON. */
  readonly messages: readonly string[]
  /** The last row that is among them. */
  readonly last: Row | undefined
  readonly hasMore: boolean
  /** Of all pages, where each row says it. */
  readonly total: number | undefined
}

async function collect<Row>(
  db: Db,
  { rows }: Selection<Row>,
  present: (row: Row) => object,
  limit: number,
): Promise<Collected<Keyed<Row>>> {
  const messages: string[] = []
  let last: Keyed<Row> | undefined
  let total: number | undefined
  let bytes = 0
  const pace = createPace()
  for await (const batch of fetchBatches(db, rows, pace, limit + 1)) {
    const bytesBefore = bytes
    for (const row of batch) {
      total ??= row.total
      // A page behind the last row may be one row that has the total alone.
      if (row.cursor_key === null) continue
      if (messages.length === limit) return { messages, last, hasMore: true, total }
      const message = toJson(present(row))
      bytes += Buffer.byteLength(message)
      if (bytes > MAX_PAGE_BYTES && messages.length > 0) return { messages, last, hasMore: true, total }
      messages.push(message)
      last = row
    }
    pace.learn(batch.length, bytes - bytesBefore)
  }
  return { messages, last, hasMore: false, total }
}

async function totalOf<Row>(
  { keyset, total }: Selection<Row>,
  { cursor, offset }: PageFilter,
  page: Collected<unknown>,
): Promise<number> {
  if (cursor !== undefined) return readCursor(keyset, cursor).total
  if (total === 'in rows') return page.total ?? 0
  // The last page says itself how many there are; that spares dashboards the count.
  const count = page.messages.length
  return !page.hasMore && (count > 0 || offset === 0) ? offset + count : total()
}
