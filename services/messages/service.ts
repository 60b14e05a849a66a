import type { Db } from '../../platform/db/connect.ts'
import { createChannelAccess } from './access.ts'
import type { AccessParts, ChannelReference, Reader } from './access.ts'
import { selectBuckets } from './buckets.ts'
import type { BucketFilter } from './buckets.ts'
import { exportRows } from './export.ts'
import type { MessageFilter } from './filter.ts'
import { cursorBehind, readCursor } from './keyset.ts'
import { selectLatest } from './latest.ts'
import { presentBucket, presentJson, presentReading } from './present.ts'
import { selectJsonMessages, selectReadings } from './repository.ts'
import type { Keyed, Selection } from './repository.ts'
import { inSnapshot } from './snapshot.ts'
import { entityTag, findChannelState } from './state.ts'

export type Messages = ReturnType<typeof createMessages>

export interface MessagesParts extends AccessParts {
  /** With connections and a statement timeout of its own: what reads much must hold up nothing else. */
  readonly db: Db
  readonly exports: ExportLimits
}

export interface ExportLimits {
  readonly maxRows: number
  readonly maxAtOnce: number
}

/** What a question is answered with: rows of one kind, and how to show one. */
interface Answer<Row> {
  readonly selection: Selection<Row> | undefined
  readonly present: (row: Row) => object
}

/** One page, or that it is what the caller has already. */
export type MessagePage =
  | { readonly tag: string; readonly isUnchanged: true }
  | {
      readonly tag: string
      readonly isUnchanged: false
      readonly total: number
      readonly messages: readonly object[]
      readonly cursor: string | undefined
      /** What lies at or before this place in the stream is in the answer; behind it a live tail goes on. */
      readonly position: number
    }

/** What the caller knows of an earlier answer. */
export interface Question {
  /** Everything that the answer depends on besides the messages. */
  readonly text: string
  isKnown(tag: string): boolean
}

export function createMessages({ db, exports, ...parts }: MessagesParts) {
  const access = createChannelAccess(parts)
  return {
    access,

    /**
     * Stored messages of a channel, a page of them.
     *
     * @throws {Unauthenticated} a secret that no client has there
     * @throws {Forbidden} no permission or connection to subscribe
     * @throws {NotFound} no such channel, told to those who may know
     * @throws {InvalidInput} a cursor of another question
     * @throws {QueryTimeout} @throws {Unavailable}
     */
    async list(
      reader: Reader,
      reference: ChannelReference,
      filter: MessageFilter & { readonly limit: number },
      question: Question,
    ): Promise<MessagePage> {
      const { channelId } = await access.admit(reader, reference)
      return inSnapshot(db, async (trx) => {
        const state = await findChannelState(trx, channelId)
        const tag = entityTag(channelId, state, question.text)
        if (question.isKnown(tag)) return { tag, isUnchanged: true }
        const page = await readPage(trx, await ask(trx, channelId, filter), filter)
        return { tag, isUnchanged: false, position: state.position, ...page }
      })
    },

    /**
     * The same without pages: all rows, as they come from the database.
     *
     * @throws as {@link list}
     */
    async export(reader: Reader, reference: ChannelReference, filter: MessageFilter, question: Question) {
      const { channelId } = await access.admit(reader, reference)
      const state = await inSnapshot(db, (trx) => findChannelState(trx, channelId))
      const tag = entityTag(channelId, state, question.text)
      if (question.isKnown(tag)) return { tag, rows: undefined }
      const rows = await exportRows(db, (trx) => ask(trx, channelId, filter), {
        ...exports,
        limit: filter.limit,
      })
      return { tag, rows }
    },
  }
}

/** Which of the four kinds of question this is. */
function ask(db: Db, channelId: string, filter: MessageFilter): Promise<Answer<never>> {
  const answer = askAny(db, channelId, filter)
  // Each `present` is asked about rows of its own selection alone.
  return answer as Promise<Answer<never>>
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

async function readPage<Row>(
  db: Db,
  { selection, present }: Answer<Row>,
  { cursor, limit }: { readonly cursor: string | undefined; readonly limit: number },
) {
  if (!selection) return { total: 0, messages: [], cursor: undefined }
  const { rows } = await selection.rows.execute(db)
  // A page behind the last row may be one row that has the total alone.
  const found = rows.filter(({ cursor_key: key }) => key !== null)
  const total = await totalOf(selection, cursor, rows)
  const page = found.slice(0, limit)
  const last = found.length > limit ? page.at(-1) : undefined
  return {
    total,
    messages: page.map(present),
    cursor: last && cursorBehind(selection.keyset, last.cursor_key, total),
  }
}

async function totalOf<Row>(
  { keyset, total }: Selection<Row>,
  cursor: string | undefined,
  rows: readonly Keyed<Row>[],
): Promise<number> {
  if (cursor !== undefined) return readCursor(keyset, cursor).total
  return total === 'in rows' ? Number(rows[0]?.total ?? 0) : total()
}
