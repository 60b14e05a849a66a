import type { Bus } from '../../platform/bus/connect.ts'
import { isExpired, readMessage } from '../../platform/bus/message.ts'
import { createPuller } from '../../platform/bus/puller.ts'
import type { Pulled, Puller } from '../../platform/bus/puller.ts'
import { findNextStored } from '../../platform/bus/stored.ts'
import { MESSAGES_STREAM } from '../../platform/bus/streams.ts'
import { filterSubjects } from '../../platform/bus/subject.ts'
import { createSlots } from '../../platform/slots.ts'
import type { Bookmark } from './encode.ts'
import { deliveriesFor } from './deliveries.ts'
import type { Session } from './sessions.ts'

/** Brings sessions what came while they were away, or while they were slow, from the stream. */
export interface Missed {
  /** Reads behind the bookmark until it can take messages as they come. Ends with the session, and when the bookmark is dropped. */
  catchUp(session: Session, bookmark: Bookmark): void
}

/** Of one session; the outbox bounds what is taken out of them. */
const MAX_MESSAGES = 64
const MAX_BYTES = 512 * 1024
/** Sessions that read at a time, shared out by domain: after a process has died, all of its clients come at once. */
const MAX_READING = 32
/** For so long a session reads while others wait to, and waits for messages before others may read meanwhile. */
const TURN_MS = 250
/** So much longer than that is waited for what the server has counted: it is slow, or has given it up. */
const SILENCE_MS = 2_000
const RETRY_MS = 500

export function createMissed(bus: Bus): Missed {
  const slots = createSlots(MAX_READING)

  /** @returns whether the bookmark is live now, since nothing is left to read */
  async function joinLive(subject: string, bookmark: Bookmark): Promise<boolean> {
    const { newest } = bookmark
    const manager = await bus.connection.jetstreamManager({ checkAPI: false })
    const next = await findNextStored(manager, MESSAGES_STREAM, subject, bookmark.at + 1)
    // What was noted before the question would have been found, unless the stream has given it up or its filter is gone. What
    // came since is noted too: nothing may come between this comparison and the next line.
    if (next || bookmark.newest !== newest) return false
    bookmark.isLive = true
    return true
  }

  /** One turn. @returns whether the bookmark is live now; if not, the next turn begins behind it */
  async function read(session: Session, bookmark: Bookmark): Promise<boolean> {
    const subject = subjectOf(session, bookmark)
    if (await joinLive(subject, bookmark)) return true
    const puller = await createPuller(bus, {
      stream: MESSAGES_STREAM,
      fromSeq: bookmark.at + 1,
      subject,
      maxMessages: MAX_MESSAGES,
      maxBytes: MAX_BYTES,
    })
    try {
      return await readOn(session, bookmark, subject, puller)
    } finally {
      await puller.stop()
    }
  }

  async function readOn(
    session: Session,
    bookmark: Bookmark,
    subject: string,
    puller: Puller,
  ): Promise<boolean> {
    let { pending } = puller
    const endsAt = Date.now() + TURN_MS
    // Another filter, or one less: what comes on the old subject would take the bookmark past what the new one has.
    const isWanted = (): boolean => isRead(session, bookmark) && subjectOf(session, bookmark) === subject
    while (isWanted()) {
      const batch = await arrival(session, puller, pending)
      if (batch.length === 0 || !isWanted()) return false
      for (const pulled of batch) {
        pending = pulled.pending
        // What there is no room for stays in the stream.
        if (session.leavesInStream) return false
        take(session, bookmark, pulled)
      }
      if (pending === 0 && bookmark.newest <= bookmark.at) {
        bookmark.isLive = true
        return true
      }
      if (slots.isWanted && Date.now() >= endsAt) return false
    }
    return false
  }

  /** @returns none when none has come for a while: what was to come may be gone, or not wanted any more */
  async function arrival(session: Session, puller: Puller, pending: number): Promise<Pulled[]> {
    const batch = await puller.next(0, TURN_MS)
    if (batch.length > 0 || pending === 0) return batch
    const { domainId } = session.principal
    slots.free(domainId)
    try {
      return await puller.next(0, SILENCE_MS)
    } finally {
      await slots.take(domainId)
    }
  }

  async function inTurn(session: Session, bookmark: Bookmark): Promise<boolean> {
    const { domainId } = session.principal
    await slots.take(domainId)
    try {
      return isRead(session, bookmark) && (await read(session, bookmark))
    } finally {
      slots.free(domainId)
    }
  }

  async function run(session: Session, bookmark: Bookmark): Promise<void> {
    while (isRead(session, bookmark)) {
      // Neither a slot nor a consumer is kept while the client takes its time.
      while (session.leavesInStream && isRead(session, bookmark)) await session.room()
      try {
        // Who is live is done, also when that is over at once: then another reader has begun.
        if (await inTurn(session, bookmark)) return
      } catch (error) {
        if (!isRead(session, bookmark)) return
        bus.log.debug({ err: error }, 'reading of missed messages interrupted')
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
  }

  return {
    catchUp(session, bookmark) {
      void run(session, bookmark).catch((error: unknown) =>
        bus.log.error({ err: error }, 'missed messages could not be read'),
      )
    },
  }
}

/** Not when it was dropped: of the same channel opened anew, another bookmark brings all that there is to come. */
function isRead(session: Session, bookmark: Bookmark): boolean {
  return !session.isEnded && session.bookmarks.holds(bookmark)
}

function take(session: Session, bookmark: Bookmark, { seq, msg }: Pulled): void {
  const message = readMessage(msg)
  if (message) {
    const isLate = isExpired(message, Date.now())
    for (const delivery of deliveriesFor(session, message, seq)) {
      // "At most once" is for those who are there. What has expired takes no room from what has not: it is dropped behind.
      if (delivery.qos > 0 && (isLate || session.hasRoomFor(seq))) session.outbox.deliver(delivery)
    }
  }
  bookmark.at = seq
}

/** The one filter's, where there is one: a device with its own subtopic does not read through all of the channel's. */
function subjectOf(session: Session, bookmark: Bookmark): string {
  let only: string | undefined
  for (const { grant, levels, place } of session.subscriptions.values()) {
    // The channel itself is one subject anyway.
    if (place?.below !== bookmark) continue
    const { channelId, domainId } = grant.channel
    for (const subject of filterSubjects(domainId, channelId, levels)) {
      if (subject === place.root.subject || subject === only) continue
      if (only !== undefined) return bookmark.subject
      only = subject
    }
  }
  return only ?? bookmark.subject
}
