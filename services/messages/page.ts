import type { Db } from '../../platform/db/connect.ts'
import { selectBuckets } from './buckets.ts'
import type { BucketFilter } from './buckets.ts'
import type { MessageFilter } from './filter.ts'
import { cursorBehind, readCursor } from './keyset.ts'
import { selectLatest } from './latest.ts'
import { presentBucket, presentJson, presentReading } from './present.ts'
import { createPresenter } from './presenter.ts'
import { rowsOf, selectJsonMessages, selectReadings } from './repository.ts'
import type { JsonMessageRow, Keyed, Selection } from './repository.ts'
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

/**
 * One page of what a channel has for a question, with the cursor of the next.
 *
 * @throws {InvalidInput} a cursor of another question
 */
export async function readPage(db: Db, channel: ChannelState, filter: PageFilter) {
  const { selection, present } = await ask(db, channel, filter)
  if (!selection) return { total: 0, messages: [], cursor: undefined }
  const { rows } = await selection.rows.execute(db)
  const found = rowsOf(selection, rows)
  const total = await totalOf(selection, filter, rows)
  const page = found.slice(0, filter.limit)
  const last = found.length > filter.limit ? page.at(-1) : undefined
  return {
    total,
    messages: await present(page),
    cursor: last && cursorBehind(selection.keyset, last, total),
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
