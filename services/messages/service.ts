import type { Db, Trx } from '../../platform/db/connect.ts'
import { createChannelAccess } from './access.ts'
import type { AccessParts, ChannelReference, Reader } from './access.ts'
import { createDeadline } from './deadline.ts'
import { createExports } from './export.ts'
import type { ExportLimits } from './export.ts'
import type { ExportWriter } from './export-formats.ts'
import type { MessageFilter } from './filter.ts'
import { ask, readPage } from './page.ts'
import type { PageFilter } from './page.ts'
import { inSnapshot } from './snapshot.ts'
import { entityTag, findChannelState } from './state.ts'
import { createTurns } from './turns.ts'
import type { Total } from './totals.ts'
import type { TurnLimits } from './turns.ts'
import { createUnread } from './unread.ts'
import type { UnreadLimits } from './unread.ts'

export type Messages = ReturnType<typeof createMessages>

export interface MessagesParts extends AccessParts {
  /** With connections and a statement timeout of its own: what reads much must hold up nothing else. */
  readonly db: Db
  readonly exports: ExportLimits
  readonly unread: UnreadLimits
  readonly reads: ReadLimits
}

export interface ReadLimits extends TurnLimits {
  /** Of a page, from when it is asked for. */
  readonly timeoutMs: number
  /** Rows that are looked at for the total of a page, at the most. */
  readonly maxCounted: number
}

/** One page, or that it is what the caller has already. */
export type MessagePage =
  | { readonly tag: string; readonly isUnchanged: true }
  | {
      readonly tag: string
      readonly isUnchanged: false
      /** Whose page it is. */
      readonly domainId: string
      readonly total: Total
      /** In JSON. */
      readonly messages: readonly string[]
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

export function createMessages({
  db,
  exports: exportLimits,
  unread: unreadLimits,
  reads,
  ...parts
}: MessagesParts) {
  const access = createChannelAccess(parts)
  const unread = createUnread(unreadLimits)
  const exports = createExports(db, exportLimits)
  const turns = createTurns(reads)
  return {
    access,
    unread,

    /**
     * Stored messages of a channel, a page of them.
     *
     * @throws {Unauthenticated} a secret that no client has there
     * @throws {Forbidden} no permission or connection to subscribe
     * @throws {NotFound} no such channel, told to those who may know
     * @throws {InvalidInput} a cursor of another question
     * @throws {QueryTimeout} @throws {Unavailable} @throws {RateLimited} the domain reads, or has unread, as much as it may
     */
    async list(
      reader: Reader,
      reference: ChannelReference,
      filter: PageFilter,
      question: Question,
    ): Promise<MessagePage> {
      const { channelId, domainId } = await access.admit(reader, reference)
      const deadline = createDeadline(reads.timeoutMs)
      const limits = { deadline, maxCounted: reads.maxCounted }
      const ask = async (trx: Trx): Promise<MessagePage> => {
        await deadline.apply(trx)
        const state = await findChannelState(trx, channelId)
        const tag = entityTag(state, question.text)
        if (question.isKnown(tag)) return { tag, isUnchanged: true }
        const page = await readPage(trx, state, filter, limits)
        return { tag, isUnchanged: false, domainId, position: state.position, ...page }
      }
      return turns.take(domainId, deadline.remainingMs(), async () => {
        // Not before: those that wait together would all find the same room.
        unread.makeRoom(domainId)
        return inSnapshot(db, ask)
      })
    },

    /**
     * The same without pages: all rows, written as they come from the database.
     *
     * @throws as {@link list} @throws {RateLimited} as many run as may
     */
    async export(
      reader: Reader,
      reference: ChannelReference,
      filter: MessageFilter,
      question: Question,
      writer: ExportWriter,
    ) {
      const admission = await access.admit(reader, reference)
      const { channelId, domainId } = admission
      const state = await inSnapshot(db, (trx) => findChannelState(trx, channelId))
      const tag = entityTag(state, question.text)
      if (question.isKnown(tag)) return { tag, admission, document: undefined }
      const { limit } = filter
      const document = await exports.open({ domainId, limit, writer, ask: (trx) => ask(trx, state, filter) })
      return { tag, admission, document }
    },
  }
}
