import type { Db } from '../../platform/db/connect.ts'
import { createPace, fetchBatches } from './batches.ts'
import { selectBuckets } from './buckets.ts'
import type { BucketFilter } from './buckets.ts'
import type { Deadline } from './deadline.ts'
import type { MessageFilter } from './filter.ts'
import { toJson } from './json.ts'
import { cursorBehind, readCursor } from './keyset.ts'
import { selectLatest } from './latest.ts'
import { presentBucket, presentJson, presentReading } from './present.ts'
import { createPresenter } from './presenter.ts'
import { rowsOf, selectJsonMessages, selectReadings } from './repository.ts'
import type { JsonMessageRow, Selection } from './repository.ts'
import { findScope } from './scope.ts'
import type { Scope } from './scope.ts'
import type { ChannelState } from './state.ts'

/** What a question is answered with: rows of one kind, and how to show them. */
export interface Answer<Row> {
  /** `undefined`: nothing of the kind was ever stored. */
  readonly selection: Selection<Row> | undefined
  /** Takes them in their order, all at once or in batches. */
  readonly present: (rows: readonly Row[]) => Promise<object[]>
}

export type PageFilter = MessageFilter & { readonly limit: number }

/** Which of the four kinds of question this is. */
export function ask(db: Db, channel: ChannelState, filter: MessageFilter): Promise<Answer<object>> {
  // Each `present` is asked about rows of its own selection alone.
  return askAny(db, channel, filter) as Promise<unknown> as Promise<Answer<object>>
}

async function askAny(db: Db, channel: ChannelState, filter: MessageFilter) {
  const { channelId } = channel
  if (filter.format !== 'messages') {
    const present = (rows: readonly JsonMessageRow[]) => Promise.resolve(rows.map(presentJson))
    return { selection: selectJsonMessages(db, channelId, filter), present }
  }
  const scope = await findScope(db, channel.no, filter)
  const presentAs = filter.aggregation === undefined ? presentReading : presentBucket
  const present = createPresenter(db, channelId, presentAs, scope?.known ?? [])
  return { selection: scope && selectSamples(db, channel, scope, filter), present }
}

function selectSamples(db: Db, channel: ChannelState, scope: Scope, filter: MessageFilter) {
  // The bounds were asked for when the question was checked.
  if (filter.aggregation !== undefined) return selectBuckets(scope, filter as BucketFilter)
  return filter.isLatest ? selectLatest(scope, filter) : selectReadings(db, channel, scope, filter)
}

/** What a page is written in at the most, as long as it has one message; what does not fit is behind its cursor. */
const MAX_PAGE_BYTES = 4_194_304

/**
 * One page of what a channel has for a question, its messages in JSON, with the cursor of the next.
 *
 * @throws {InvalidInput} a cursor of another question
 * @throws {QueryTimeout}
 */
export async function readPage(db: Db, channel: ChannelState, filter: PageFilter, deadline: Deadline) {
  const { selection, present } = await ask(db, channel, filter)
  if (!selection) return { total: 0, messages: [], cursor: undefined }
  await deadline.apply(db)
  const page = await collect(db, selection, present, filter.limit, deadline)
  await deadline.apply(db)
  const total = await totalOf(selection, filter, page)
  const { messages, last, hasMore } = page
  return {
    total,
    messages,
    cursor: hasMore && last ? cursorBehind(selection.keyset, last, total) : undefined,
  }
}

interface Collected<Row> {
  /** In JSON. */
  readonly messages: readonly string[]
  /** The row of the last of them. */
  readonly last: Row | undefined
  readonly hasMore: boolean
  /** Of all pages, where each row says it. */
  readonly total: number | undefined
}

async function collect<Row extends object>(
  db: Db,
  selection: Selection<Row>,
  present: Answer<Row>['present'],
  limit: number,
  deadline: Deadline,
): Promise<Collected<Row>> {
  const messages: string[] = []
  let last: Row | undefined
  let total: number | undefined
  let bytes = 0
  const pace = createPace(selection)
  for await (const batch of fetchBatches(db, selection.rows, pace, limit + 1)) {
    total ??= batch[0]?.total
    const found = rowsOf(selection, batch)
    const shown = await present(found)
    const bytesBefore = bytes
    for (const [index, one] of shown.entries()) {
      const message = toJson(one)
      bytes += Buffer.byteLength(message)
      const isFull = messages.length === limit || (bytes > MAX_PAGE_BYTES && messages.length > 0)
      if (isFull) return { messages, last, hasMore: true, total }
      messages.push(message)
      last = found[index]
    }
    pace.learn(batch.length, bytes - bytesBefore)
    await deadline.apply(db)
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
