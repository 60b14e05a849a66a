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
  /** Reads behind the bookmark until it can take messages as they come. Ends with the session. */
  catchUp(session: Session, bookmark: Bookmark): void
}

/** Of one session; the outbox bounds what is taken out of them. */
const MAX_MESSAGES = 64
const MAX_BYTES = 512 * 1024
/** Sessions that read at a time: after a process has died, all of its clients come at once. */
const MAX_READING = 32
const RETRY_MS = 500

export function createMissed(bus: Bus): Missed {
  const slots = createSlots(MAX_READING)

  /** @returns whether nothing is left to read */
  async function isUpToDate(subject: string, bookmark: Bookmark): Promise<boolean> {
    const manager = await bus.connection.jetstreamManager({ checkAPI: false })
    const next = await findNextStored(manager, MESSAGES_STREAM, subject, bookmark.at + 1)
    // Live messages that match are noted while they are not taken, so none has slipped in meanwhile.
    return !next && bookmark.newest <= bookmark.at
  }

  async function read(session: Session, bookmark: Bookmark): Promise<void> {
    const subject = subjectOf(session, bookmark)
    if (await isUpToDate(subject, bookmark)) {
      bookmark.isLive = true
      return
    }
    const puller = await createPuller(bus, {
      stream: MESSAGES_STREAM,
      fromSeq: bookmark.at + 1,
      subject,
      maxMessages: MAX_MESSAGES,
      maxBytes: MAX_BYTES,
    })
    try {
      await readAll(session, bookmark, puller)
    } finally {
      await puller.stop()
    }
  }

  async function readAll(session: Session, bookmark: Bookmark, puller: Puller): Promise<void> {
    let { pending } = puller
    for (;;) {
      if (session.isEnded) return
      if (pending === 0 && bookmark.newest <= bookmark.at) {
        bookmark.isLive = true
        return
      }
      for (const pulled of await puller.next(0)) {
        if (session.isEnded) return
        pending = pulled.pending
        await untilRoom(session)
        if (session.isEnded) return
        take(session, bookmark, pulled)
      }
      await untilRoom(session)
    }
  }

  /** What there is no room for stays in the stream. Others may read while this one's client takes its time. */
  async function untilRoom(session: Session): Promise<void> {
    while (session.leavesInStream && !session.isEnded) await yieldUntil(session.room())
  }

  async function yieldUntil(done: Promise<void>): Promise<void> {
    slots.free()
    await done
    await slots.take()
  }

  async function run(session: Session, bookmark: Bookmark): Promise<void> {
    await slots.take()
    try {
      while (!session.isEnded && !bookmark.isLive) {
        try {
          await read(session, bookmark)
        } catch (error) {
          if (session.isEnded) return
          bus.log.debug({ err: error }, 'reading of missed messages interrupted')
          await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
        }
      }
    } finally {
      slots.free()
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
  const wanted = new Set<string>()
  for (const { grant, levels, place } of session.subscriptions.values()) {
    if (!place || (bookmark !== place.root && bookmark !== place.below)) continue
    const { channelId, domainId } = grant.channel
    for (const subject of filterSubjects(domainId, channelId, levels)) {
      if ((subject === place.root.subject) === (bookmark === place.root)) wanted.add(subject)
    }
  }
  const [only] = wanted
  return only !== undefined && wanted.size === 1 ? only : bookmark.subject
}
