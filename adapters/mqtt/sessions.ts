import type { ChannelAddress, Principal } from '../authority.ts'
import { Outbox } from './outbox.ts'
import type { Backlog, OutboxOptions } from './outbox.ts'
import type { Qos } from './packets.ts'

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
}

/**
 * How far a QoS 2 publication has come, from PUBLISH to PUBREL. A PUBLISH with the same packet identifier in between is the
 * same message again, and must not go on the stream again [MQTT-4.3.3-10].
 */
export interface Receipt {
  isAccepted: boolean
  /** Those who sent it again before the stream answered. */
  readonly waiting: ((error?: Error) => void)[]
}

/** What outlives one connection [MQTT-4.1.0-1]. Kept in this process's memory; sessions on the bus are a later step. */
export interface Session {
  /** `<client id>:<MQTT client identifier>`: nobody reaches another client's session by its identifier. */
  readonly id: string
  readonly principal: Principal & { kind: 'client' }
  readonly outbox: Outbox
  /** By filter, as written. */
  readonly subscriptions: Map<string, Route>
  /** By channel id. */
  readonly grants: Map<string, ReceiveGrant>
  /** How often permissions of the client have changed: an answer asked for before a change is to be asked for again. */
  changes: number
  /** By packet identifier of the client's. */
  readonly receipts: Map<number, Receipt>
  /** Set when discarded: whatever is under way for it must leave nothing behind. */
  isEnded: boolean
}

export interface Sessions {
  /** The session to go on with, or a new one; `isPresent` is what CONNACK says [MQTT-3.2.2-2]. */
  open(
    id: string,
    principal: Session['principal'],
    cleanStart: boolean,
  ): { session: Session; isPresent: boolean }
  /** The connection is gone: ends the session now, or so many seconds later unless it is opened again. */
  close(session: Session, expiryS: number): void
  all(): Iterable<Session>
  stop(): void
}

const SWEEP_MS = 1_000
/** Sessions without a connection of one client, so that none can push out those of others. */
const MAX_KEPT_PER_CLIENT = 100

/**
 * @param maxKept sessions without a connection that are kept at most; the one that would end first makes room
 * @param onEnd takes the session's subscriptions off
 */
export function createSessions(options: {
  outbox: OutboxOptions
  maxKept: number
  onDrop: (session: Session, reason: string) => void
  onEnd: (session: Session) => void
}): Sessions {
  const sessions = new Map<string, Session>()
  const backlog: Backlog = { bytes: 0 }
  /** Sessions without a connection, with the time when they end. */
  const kept = new Map<Session, number>()
  /** The same by client, longest away first. */
  const keptByClient = new Map<string, Set<Session>>()
  const sweep = setInterval(() => {
    const now = Date.now()
    for (const [session, endsAt] of kept) if (endsAt <= now) end(session)
  }, SWEEP_MS)
  sweep.unref()

  function keep(session: Session, endsAt: number): void {
    kept.set(session, endsAt)
    const { id } = session.principal
    const siblings = keptByClient.get(id)
    if (siblings) siblings.add(session)
    else keptByClient.set(id, new Set([session]))
  }

  function unkeep(session: Session): void {
    kept.delete(session)
    const siblings = keptByClient.get(session.principal.id)
    if (siblings?.delete(session) && siblings.size === 0) keptByClient.delete(session.principal.id)
  }

  /** Ends a session where one more would be too many. */
  function makeRoom(clientId: string): void {
    const siblings = keptByClient.get(clientId)
    if (siblings && siblings.size >= MAX_KEPT_PER_CLIENT) {
      for (const longestAway of siblings) return end(longestAway)
    }
    if (kept.size < options.maxKept) return
    let first: Session | undefined
    let firstEndsAt = Infinity
    for (const [candidate, endsAt] of kept) {
      if (endsAt < firstEndsAt) [first, firstEndsAt] = [candidate, endsAt]
    }
    if (first) end(first)
  }

  function end(session: Session): void {
    unkeep(session)
    session.isEnded = true
    session.outbox.discard()
    if (sessions.get(session.id) === session) sessions.delete(session.id)
    options.onEnd(session)
  }

  function create(id: string, principal: Session['principal']): Session {
    const session: Session = {
      id,
      principal,
      outbox: new Outbox(options.outbox, backlog, (reason) => options.onDrop(session, reason)),
      subscriptions: new Map(),
      grants: new Map(),
      changes: 0,
      receipts: new Map(),
      isEnded: false,
    }
    sessions.set(id, session)
    return session
  }

  return {
    open(id, principal, cleanStart) {
      const present = sessions.get(id)
      if (present && !cleanStart) {
        unkeep(present)
        return { session: present, isPresent: true }
      }
      if (present) end(present) // [MQTT-3.1.2-4]
      return { session: create(id, principal), isPresent: false }
    },
    close(session, expiryS) {
      session.outbox.detach()
      if (session.isEnded) return
      if (expiryS === 0) return end(session)
      makeRoom(session.principal.id)
      keep(session, Date.now() + expiryS * 1_000)
    },
    all: () => sessions.values(),
    stop() {
      clearInterval(sweep)
      for (const session of sessions.values()) end(session)
    },
  }
}
