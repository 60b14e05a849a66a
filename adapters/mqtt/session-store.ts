import { randomUUID } from 'node:crypto'
import type { Bus } from '../../platform/bus/connect.ts'
import { readMessage } from '../../platform/bus/message.ts'
import { findStored } from '../../platform/bus/stored.ts'
import type { StreamFeed } from '../../platform/bus/stream-feed.ts'
import { MESSAGES_STREAM, RETAINED_STREAM } from '../../platform/bus/streams.ts'
import { QuotaExceeded, Unavailable } from '../../platform/errors.ts'
import type { Authority } from '../authority.ts'
import type { ClientPrincipal } from './access.ts'
import { createBacklog } from './backlog.ts'
import { bookmarkOf } from './bookmarks.ts'
import type { Caretaker } from './caretaker.ts'
import type { Claim, Claims } from './claims.ts'
import type { Delivery } from './encode.ts'
import { createLedgerClock } from './ledger.ts'
import type { Missed } from './missed.ts'
import type { OutboxOptions, Receiver } from './outbox.ts'
import type { Connect } from './connect-packet.ts'
import { commonOf } from './deliveries.ts'
import { sendOwed } from './retained-delivery.ts'
import { readRetained } from './retained-store.ts'
import type { RetainedStore } from './retained-store.ts'
import { disconnected, encodeRecord } from './session-record.ts'
import type { InFlightRecord, SessionRecord } from './session-record.ts'
import type { SessionRecords } from './session-records.ts'
import { Session } from './sessions.ts'
import type { SessionHost } from './sessions.ts'
import { parseFilter } from './shared-filter.ts'
import type { Subscriptions } from './subscriptions.ts'
import { willRecord } from './wills.ts'
import type { Wills } from './wills.ts'

export interface SessionStore {
  /**
   * The session to go on with, or a new one; `isPresent` is what CONNACK says [MQTT-3.2.2-2].
   *
   * @throws {Unavailable}
   * @throws {QuotaExceeded}
   */
  open(
    key: string,
    principal: ClientPrincipal,
    identifier: string,
    connect: Connect,
    isWanted: () => boolean,
  ): Promise<{ session: Session; isPresent: boolean }>
  /** CONNACK is out: the client gets what waits for it. */
  begin(session: Session, receiver: Receiver): void
  /**
   * The connection is gone. Resolves when what outlives it is written, and the will is on the stream, unless it is to be
   * dropped, to wait, or cannot be sent now: then it is written down to be sent later.
   *
   * @param end absent for a client that was not let in: a session that was there before is left as it was found
   */
  close(session: Session, end?: SessionEnd): Promise<void>
  all(): Iterable<Session>
  /** Bytes that all of them hold. */
  heldBytes(): number
  /** Writes all sessions once more: those that another process has taken meanwhile are closed. */
  confirmAll(): void
  /** Resolves when what was under way for connections that are gone by now is written. */
  stop(): Promise<void>
}

interface SessionEnd {
  /** Seconds that the session goes on. */
  readonly expiryS: number
  readonly isWillDropped: boolean
}

/** A session to go on with, or a new one. */
interface Opened extends Claim {
  /** What was on file of a session to go on with. */
  readonly found: SessionRecord | undefined
}

export interface SessionStoreOptions {
  readonly bus: Bus
  readonly node: string
  readonly records: SessionRecords
  readonly claims: Claims
  readonly caretaker: Caretaker
  readonly wills: Wills
  readonly authority: Authority
  readonly subscriptions: Subscriptions
  readonly feed: StreamFeed
  readonly lastPlace: () => Promise<number>
  readonly missed: Missed
  readonly retained: RetainedStore
  readonly outbox: OutboxOptions
  readonly sessionExpiryS: number
  readonly onDrop: (session: Session, reason: string) => void
  readonly onTaken: (session: Session) => void
  readonly onUnwritable: (session: Session, error: Error) => void
}

export function createSessionStore(options: SessionStoreOptions): SessionStore {
  const { bus, node, records, claims, caretaker, wills, authority, subscriptions, missed } = options
  const sessions = new Map<string, Session>()
  const backlog = createBacklog(options.outbox.maxBacklogBytes)
  const clock = createLedgerClock()

  async function claim(
    key: string,
    principal: ClientPrincipal,
    identifier: string,
    connect: Connect,
    how: { epoch: string; isWanted: () => boolean },
  ): Promise<Opened> {
    const { epoch, isWanted } = how
    const expiryS = Math.min(connect.sessionExpiryS, options.sessionExpiryS)
    const will = connect.will && willRecord(connect.will)
    let resumed: SessionRecord | undefined
    const claimed = await claims.take(
      key,
      async (found) => {
        resumed = found && !connect.cleanStart && outlived(found) ? found : undefined
        // Before the record that holds it is replaced [MQTT-3.1.3-9]: owed when the session ends, or it is time.
        if (found?.will && (!resumed || isDue(found))) {
          if (!(await wills.settle(found))) {
            // Nor may what the client publishes now overtake it.
            throw new Unavailable('the will of the connection before this one is still to be sent')
          }
          if (resumed) resumed = { ...found, will: undefined }
        }
        const { subscriptions, places, lastPacketId, inFlight, receipts } = resumed ?? EMPTY
        // Written out: V8 makes an object of a class of its own of each copy with more fields, and this one is kept.
        return {
          identifier,
          principal,
          node,
          epoch,
          expiryS,
          endsAt: 0,
          will,
          subscriptions,
          places,
          lastPacketId,
          inFlight,
          receipts,
        }
      },
      { isProbablyNew: connect.cleanStart && expiryS === 0, isWanted },
    )
    return { ...claimed, found: resumed }
  }

  const host: SessionHost = {
    records,
    later: clock.later,
    outbox: options.outbox,
    positionOf: (subject) => options.feed.positionOf(subject),
    onDrop: options.onDrop,
    onBehind: (slow, bookmark) => missed.catchUp(slow, bookmark),
    onTaken: options.onTaken,
    onUnwritable: options.onUnwritable,
  }

  function create(key: string, { record, written, found }: Opened): Session {
    const isDurable = found !== undefined || record.expiryS > 0
    const account = backlog.account(record.principal.domainId)
    const session = new Session(host, { key, record, written, isDurable, account, found })
    sessions.set(key, session)
    return session
  }

  /** Takes up where the session was left, here or elsewhere; no further for a client that is gone again. */
  async function restore(session: Session, isWanted: () => boolean): Promise<void> {
    const { record } = session
    const lastSeq = await options.lastPlace()
    session.resumedAt = lastSeq
    for (const { packetId, messageId, since, isAccepted } of record.receipts) {
      const from = since > lastSeq ? 0 : since
      session.receipts.set(packetId, { messageId, since: from, isAccepted, isAsked: false, waiting: [] })
    }
    for (const subscription of record.subscriptions) {
      if (!isWanted()) return
      const { filter, domainId, channelId, since, ...how } = subscription
      const channel = { domainId, channelId }
      const { group, topic } = parseFilter(filter)
      const { prefix, levels } = topic
      const isAllowed = await authority.authorize({
        principal: session.principal,
        channelId,
        action: 'subscribe',
      })
      let grant = session.grants.get(channelId)
      if (!grant) {
        grant = { channel, isAllowed, uses: 0 }
        session.grants.set(channelId, grant)
      }
      const place =
        group === undefined
          ? session.bookmarks.open(channel, (subject) => {
              // What came while it was away is not for a client that may not have it when it comes back.
              const at = isAllowed ? (record.places[subject] ?? lastSeq) : lastSeq
              // A stream that was lost and made anew counts from 1 again.
              return at > lastSeq ? 0 : at
            })
          : undefined
      const from = since > lastSeq ? 0 : since
      const route = { session, filter, prefix, levels, grant, place, since: from, ...how }
      await subscriptions.add(route, { isRestored: true })
    }
    const inFlight = record.inFlight.map(
      async (sent) => [sent.packetId, sent.isReleased ? undefined : await fetchAgain(session, sent)] as const,
    )
    const found = await Promise.all(inFlight)
    session.outbox.resume(
      record.lastPacketId,
      found.filter(([, delivery]) => delivery !== null) as [number, Delivery | undefined][],
    )
  }

  /** @returns `null` when the stream has it no more */
  async function fetchAgain(
    session: Session,
    { seq, isRetained = false, topic, qos, retain, identifiers }: InFlightRecord,
  ): Promise<Delivery | null> {
    const manager = await bus.connection.jetstreamManager({ checkAPI: false })
    const stored = await findStored(manager, isRetained ? RETAINED_STREAM : MESSAGES_STREAM, seq)
    const read = isRetained ? readRetained : readMessage
    const message = stored && read({ subject: stored.subject, headers: stored.header, data: stored.data })
    if (!message) return null
    const delivery = { topic, payload: message.payload, qos, retain, identifiers, ...commonOf(message) }
    if (isRetained) return { ...delivery, retained: { seq } }
    const { channelId } = message
    const place = session.bookmarks.open(message, () => seq)
    if (!session.grants.has(channelId)) session.bookmarks.drop(channelId)
    const source = { bookmark: bookmarkOf(place, message.levels), seq }
    return { ...delivery, source }
  }

  function release(session: Session): void {
    if (sessions.get(session.key) === session) sessions.delete(session.key)
    for (const filter of session.subscriptions.keys()) subscriptions.remove(session, filter)
    session.outbox.discard()
  }

  /** What is left of a session, its will as it is owed. */
  function leftOf(session: Session, end: SessionEnd | undefined, now: number): SessionRecord {
    const { found, record } = session
    if (!end && found) return disconnected(found, now)
    const { expiryS, isWillDropped } = end ?? { expiryS: record.expiryS, isWillDropped: true }
    const stands = session.snapshot()
    return disconnected(isWillDropped ? { ...stands, will: undefined } : stands, now, expiryS)
  }

  async function close(session: Session, end?: SessionEnd): Promise<void> {
    if (session.isEnded) return
    session.isEnded = true
    session.outbox.detach()
    const { record, key } = session
    const now = Date.now()
    // With subscriptions and places still there.
    const left = leftOf(session, end, now)
    release(session)
    try {
      const { will, endsAt } = left
      const isOwed = will !== undefined && (will.dueAt > now || !(await wills.settle(left)))
      const isKept = endsAt > now || isOwed
      const last = { ...left, node: isOwed ? node : '', will: isOwed ? will : undefined }
      await session.ledger.finish(isKept ? encodeRecord(last) : undefined)
      if (isOwed) caretaker.visitAt(key, will.dueAt)
    } catch (error) {
      // Whoever cleans up finds it as of the last writing: for QoS 2 exact, for QoS 1 at worst a message twice.
      // A tenant that has no room left has as many of these as it likes.
      if (error instanceof QuotaExceeded) options.onDrop(session, error.code)
      else
        bus.log.warn({ err: error, clientId: record.principal.id }, 'session could not be written at its end')
    } finally {
      caretaker.disown(record.epoch)
    }
  }

  const open: SessionStore['open'] = async (key, principal, identifier, connect, isWanted) => {
    const epoch = randomUUID()
    caretaker.own(epoch)
    try {
      const opened = await claim(key, principal, identifier, connect, { epoch, isWanted })
      const isPresent = opened.found !== undefined
      const session = create(key, opened)
      if (!isPresent && session.isDurable) caretaker.onNewSession(principal)
      if (!isPresent) return { session, isPresent }
      try {
        await restore(session, isWanted)
      } catch (error) {
        await close(session)
        throw error
      }
      return { session, isPresent }
    } catch (error) {
      caretaker.disown(epoch)
      throw error
    }
  }

  const underWay = new Set<Promise<unknown>>()

  async function track<T>(work: Promise<T>): Promise<T> {
    underWay.add(work)
    try {
      return await work
    } finally {
      underWay.delete(work)
    }
  }

  return {
    open: (...of) => track(open(...of)),
    close: (session, end) => track(close(session, end)),
    begin(session, receiver) {
      // Taken before it had a connection that could have been told.
      if (session.ledger.isOver) return options.onTaken(session)
      session.found = undefined
      session.outbox.attach(receiver)
      for (const bookmark of session.bookmarks.all()) {
        if (!bookmark.isLive) missed.catchUp(session, bookmark)
      }
      sendOwed({ retained: options.retained, log: bus.log }, session)
    },
    all: () => sessions.values(),
    heldBytes: () => backlog.bytes,
    confirmAll() {
      for (const { ledger } of sessions.values()) ledger.touch()
    },
    async stop() {
      // What was opened for a connection that is gone is closed by who has opened it, which is under way before we look again.
      while (underWay.size > 0) await Promise.allSettled(underWay)
      clock.stop()
    },
  }
}

const EMPTY = { subscriptions: [], places: {}, lastPacketId: 0, inFlight: [], receipts: [] } as const

/** Whether there is still something to go on with: a session that outlives connections, and has not ended. */
function outlived({ expiryS, endsAt }: SessionRecord): boolean {
  return expiryS > 0 && (endsAt === 0 || endsAt > Date.now())
}

/** Whether the will is owed although the client is back: at once, when its connection was lost with its process. */
function isDue({ endsAt, will }: SessionRecord): boolean {
  if (!will) return false
  return endsAt === 0 ? will.delayS === 0 : will.dueAt <= Date.now()
}
