import type { ChannelAddress, Principal } from '../authority.ts'
import { createBacklog } from './backlog.ts'
import { largestOf } from './largest.ts'
import { Outbox } from './outbox.ts'
import type { OutboxOptions } from './outbox.ts'
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
  /**
   * Names the session on the bus, for messages that must not come back to it: set with its first subscription that wants
   * none of its own (No Local), and only then do its messages carry it.
   */
  origin: string | undefined
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
/** Sessions without a connection of one client: a device that connects under ever new names pushes out its own. */
const MAX_KEPT_PER_CLIENT = 100

/**
 * @param maxKept sessions without a connection that are kept at most; of the domain that has most of them, the one that has
 *   been away longest makes room, so that no tenant pushes out those of another that has fewer
 * @param onEvict is told of a session that made room, before it ends
 * @param onEnd takes the session's subscriptions off
 */
export function createSessions(options: {
  outbox: OutboxOptions
  maxKept: number
  onDrop: (session: Session, reason: string) => void
  onEvict: (session: Session) => void
  onEnd: (session: Session) => void
}): Sessions {
  const sessions = new Map<string, Session>()
  const backlog = createBacklog()
  /** Sessions without a connection, with the time when they end. */
  const kept = new Map<Session, number>()
  /** The same by client and by domain, longest away first. */
  const keptByClient = new Map<string, Set<Session>>()
  const keptByDomain = new Map<string, Set<Session>>()
  const sweep = setInterval(() => {
    const now = Date.now()
    for (const [session, endsAt] of kept) if (endsAt <= now) end(session)
  }, SWEEP_MS)
  sweep.unref()

  function keep(session: Session, endsAt: number): void {
    kept.set(session, endsAt)
    const { id, domainId } = session.principal
    addTo(keptByClient, id, session)
    addTo(keptByDomain, domainId, session)
  }

  function unkeep(session: Session): void {
    const { id, domainId } = session.principal
    kept.delete(session)
    removeFrom(keptByClient, id, session)
    removeFrom(keptByDomain, domainId, session)
  }

  /** Ends a session where there is one too many. */
  function makeRoom({ id, domainId }: Session['principal']): void {
    const siblings = keptByClient.get(id)
    if (siblings && siblings.size > MAX_KEPT_PER_CLIENT) return evictFrom(siblings)
    if (kept.size <= options.maxKept) return
    evictFrom(largestOf(keptByDomain, ({ size }) => size, kept.size, domainId))
  }

  function evictFrom(sessionsOfOne: ReadonlySet<Session> | undefined): void {
    for (const longestAway of sessionsOfOne ?? []) {
      options.onEvict(longestAway)
      return end(longestAway)
    }
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
      outbox: new Outbox(options.outbox, backlog.account(principal.domainId), (reason) =>
        options.onDrop(session, reason),
      ),
      subscriptions: new Map(),
      grants: new Map(),
      origin: undefined,
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
      keep(session, Date.now() + expiryS * 1_000)
      makeRoom(session.principal)
    },
    all: () => sessions.values(),
    stop() {
      clearInterval(sweep)
      for (const session of sessions.values()) end(session)
    },
  }
}

function addTo(sets: Map<string, Set<Session>>, key: string, session: Session): void {
  const set = sets.get(key)
  if (set) set.add(session)
  else sets.set(key, new Set([session]))
}

function removeFrom(sets: Map<string, Set<Session>>, key: string, session: Session): void {
  const set = sets.get(key)
  if (set?.delete(session) && set.size === 0) sets.delete(key)
}
