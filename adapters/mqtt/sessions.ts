import { Unavailable } from '../../platform/errors.ts'
import type { ChannelAddress } from '../authority.ts'
import type { ClientPrincipal } from './access.ts'
import type { Account } from './backlog.ts'
import { Bookmarks } from './bookmarks.ts'
import type { Place } from './bookmarks.ts'
import type { Bookmark } from './encode.ts'
import { Ledger } from './ledger.ts'
import type { LedgerHost, Recorded } from './ledger.ts'
import { Outbox } from './outbox.ts'
import type { OutboxOptions } from './outbox.ts'
import type { Qos } from './packets.ts'
import type { RetainedStore } from './retained-store.ts'
import { decodeRecord, encodeRecord } from './session-record.ts'
import type { Owed, SessionRecord, SubscriptionRecord } from './session-record.ts'
import type { Written } from './session-records.ts'
import { SessionSubscriptions } from './session-subscriptions.ts'
import { SparseMap } from './sparse-map.ts'

/** Whether the session's client may subscribe to a channel now; asked at every delivery, kept true by `revocation.ts`. */
export interface ReceiveGrant {
  readonly channel: ChannelAddress
  isAllowed: boolean
  /** Subscriptions that stand on it. */
  uses: number
}

/** One subscription of one session: where its messages come from and how they are handed over. */
export interface Route {
  readonly session: Session
  readonly filter: string
  /** What stands in front of the levels, as the subscriber wrote it; its messages come under this. */
  readonly prefix: string
  readonly levels: readonly string[]
  readonly grant: ReceiveGrant
  readonly qos: Qos
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  /** Subscription Identifier; 0 is none. */
  readonly identifier: number
  /** Where a session that outlives its connection reads; absent for one that takes what comes live. */
  readonly place: Place | undefined
  /** Messages up to this place in the stream are not wanted. */
  since: number
  /** Counts until they wait to be sent, from where the outbox knows of them. */
  owed?: Owed | undefined
  /** Places of those among {@link owed} that were sent before their turn. */
  ahead?: Set<number>
}

/** Retained messages on their way to a client that could not take all of them at once. */
export interface Owing {
  readonly routes: Route[]
  readonly retained: RetainedStore
  /** Resolves when they are sent, or never will be. */
  readonly done: Promise<void>
}

/**
 * How far a QoS 2 publication has come, from PUBLISH to PUBREL. A PUBLISH with the same packet identifier in between is the
 * same message again, and must not go on the stream again [MQTT-4.3.3-10].
 */
export interface Receipt {
  readonly messageId: string | undefined
  /** Place in the stream that the message can only lie behind. */
  readonly since: number
  /** Its place, of one that an earlier connection has put there and did not know. */
  storedAt?: number | undefined
  isAccepted: boolean
  /** Whether the stream has been asked since this process has the session. */
  isAsked: boolean
  /** Those who sent it again before the stream answered. */
  readonly waiting: ((error?: Error) => void)[]
}

/** What the sessions of a process share. */
export interface SessionHost extends LedgerHost {
  readonly outbox: OutboxOptions
  /** Place in the stream up to which messages of a subject that is followed live have been handed over. */
  readonly positionOf: (subject: string) => number | undefined
  readonly onDrop: (session: Session, reason: string) => void
  /** What the session has to say cannot be written down, and never will be: it cannot go on. */
  readonly onUnwritable: (session: Session, error: Error) => void
  /** The session is too slow for a bookmark's messages as they come. */
  readonly onBehind: (session: Session, bookmark: Bookmark) => void
  /** Another process has taken the session. */
  readonly onTaken: (session: Session) => void
}

export interface SessionOptions {
  readonly key: string
  readonly record: SessionRecord
  /** Of the record. */
  readonly written: Written
  /** Whether it outlives its connection, or has outlived one. */
  readonly isDurable: boolean
  readonly account: Account
  /** What was on file, of a session that is taken up again. */
  readonly found: SessionRecord | undefined
}

/** A session while its client is connected [MQTT-4.1.0-1]. What outlives the connection is written by its ledger. */
export class Session implements Recorded {
  readonly key: string
  readonly principal: ClientPrincipal
  readonly outbox: Outbox
  /** Whether it reads from the stream and is written down as it goes. */
  readonly isDurable: boolean
  readonly subscriptions = new SessionSubscriptions<Route>()
  /** By channel id. */
  readonly grants = new SparseMap<string, ReceiveGrant>()
  readonly bookmarks = new Bookmarks()
  /**
   * Names the session on the bus, for messages that must not come back to it: set with its first subscription that wants
   * none of its own (No Local), and only then do its messages carry it.
   */
  origin: string | undefined
  /** By packet identifier of the client's. */
  readonly receipts = new SparseMap<number, Receipt>()
  readonly record: SessionRecord
  /**
   * What was on file when the client came back, until the client is let in: a session that was taken up only in part, for
   * whatever reason, is written down as it was found and not as it stands.
   */
  found: SessionRecord | undefined
  /** Last place of the stream when the client came back: what lies before it waited for the client. */
  resumedAt = 0
  /** How often permissions of the client have changed: an answer asked for before a change is to be asked for again. */
  changes = 0
  /** Set when it is over here: whatever is under way for it must leave nothing behind. */
  isEnded = false
  /** While retained messages are still to be sent. */
  owing: Owing | undefined
  readonly ledger: Ledger
  readonly #host: SessionHost
  /** Messages that may still be brought out of the time when the client was away. */
  #roomForMissed: number

  constructor(host: SessionHost, options: SessionOptions) {
    const { key, record, written, isDurable, account, found } = options
    this.#host = host
    this.key = key
    this.record = record
    this.principal = record.principal
    this.isDurable = isDurable
    this.found = found
    this.#roomForMissed = host.outbox.maxQueuedMessages
    this.ledger = new Ledger(host, this, written)
    this.outbox = new Outbox(
      host.outbox,
      account,
      (reason) => host.onDrop(this, reason),
      isDurable ? this : undefined,
    )
  }

  /** Whether messages of the stream are to stay there: there is no room, or older ones, retained, are still to come. */
  get leavesInStream(): boolean {
    return this.owing !== undefined || this.outbox.isFull
  }

  /** Resolves when that may have changed. */
  async room(): Promise<void> {
    await this.owing?.done
    await this.outbox.room()
  }

  onBehind(bookmark: Bookmark): void {
    this.#host.onBehind(this, bookmark)
  }

  /**
   * PUBREL has come. Resolves when the packet identifier may be used again by whatever process the client talks to: before
   * that is on file, PUBCOMP must not tell the client.
   */
  async release(packetId: number): Promise<void> {
    if (!this.receipts.delete(packetId) || !this.isDurable) return
    await new Promise<void>((resolve) => {
      // When it never will be, the connection is ending, and nothing more is said on it.
      this.commit((error) => {
        if (!error) resolve()
      })
    })
  }

  /** @see Ledger.touch */
  touch(): void {
    this.ledger.touch()
  }

  /** @see Ledger.commit; for what the client has no answer to wait for: when it cannot be written, the connection ends */
  commit(done: (error?: Error) => void): void {
    this.ledger.commit((error) => {
      done(error)
      // Before that it was told to end, or another process has the session.
      if (error && !(error instanceof Unavailable)) this.#host.onUnwritable(this, error)
    })
  }

  /** Wants nothing of a channel that lies before a place: it came while the client might not have it. */
  skipTo(channelId: string, place: number): void {
    for (const route of this.subscriptions.values()) {
      if (route.grant.channel.channelId === channelId) route.since = Math.max(route.since, place)
    }
  }

  /** Whether one more message of that place may be brought to the client; counted only while it waited for the client. */
  hasRoomFor(seq: number): boolean {
    if (seq > this.resumedAt) return true
    if (this.#roomForMissed > 0) {
      this.#roomForMissed -= 1
      return true
    }
    this.#host.onDrop(this, 'queue_full')
    return false
  }

  /** As it stands now, with the client connected. */
  snapshot(): SessionRecord {
    if (!this.isDurable || this.found) return this.record
    const waiting = this.outbox.waitingRetained()
    const places: Record<string, number> = {}
    for (const bookmark of this.bookmarks.all()) places[bookmark.subject] = this.#placeOf(bookmark)
    return {
      ...this.record,
      subscriptions: [...this.subscriptions.values()].map((route) =>
        subscriptionRecord(route, waiting.get(route.filter)),
      ),
      places,
      lastPacketId: this.outbox.lastPacketId,
      inFlight: this.outbox.inFlight(),
      receipts: [...this.receipts].map(([packetId, { messageId = '', since, isAccepted }]) => ({
        packetId,
        messageId,
        since,
        isAccepted,
      })),
    }
  }

  encoded(): Uint8Array {
    return encodeRecord(this.snapshot())
  }

  isOwn(value: Uint8Array): boolean {
    return decodeRecord(value)?.epoch === this.record.epoch
  }

  onTaken(): void {
    this.#host.onTaken(this)
  }

  #placeOf(bookmark: Bookmark): number {
    const { at, isLive, subject } = bookmark
    const reached = isLive ? Math.max(at, this.#host.positionOf(subject) ?? 0) : at
    const waiting = this.outbox.firstWaiting(bookmark)
    return waiting === undefined ? reached : Math.min(reached, waiting - 1)
  }
}

function subscriptionRecord(route: Route, waiting: Owed | undefined): SubscriptionRecord {
  const { filter, grant, qos, noLocal, retainAsPublished, identifier, since } = route
  const owed = joined(waiting, route.owed)
  return { filter, ...grant.channel, qos, noLocal, retainAsPublished, identifier, since, owed }
}

function joined(one: Owed | undefined, other: Owed | undefined): Owed | undefined {
  if (!one || !other) return one ?? other
  return { from: Math.min(one.from, other.from), to: Math.max(one.to, other.to) }
}
