import type { Bus } from '../../platform/bus/connect.ts'
import type { Message } from '../../platform/bus/message.ts'
import type { Nodes } from '../../platform/bus/nodes.ts'
import type { Publisher } from '../../platform/bus/publisher.ts'
import { createRecords } from '../../platform/bus/records.ts'
import { createStreamFeed } from '../../platform/bus/stream-feed.ts'
import { MESSAGES_STREAM, SESSIONS_STREAM } from '../../platform/bus/streams.ts'
import { Unavailable } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'
import type { Authority } from '../authority.ts'
import type { Publish } from '../publish.ts'
import type { Refusals } from '../refusals.ts'
import { createCaretaker } from './caretaker.ts'
import { createClaims } from './claims.ts'
import { storedFeed } from './feeds.ts'
import { createGroups } from './groups.ts'
import { createLookBack } from './look-back.ts'
import type { LookBack } from './look-back.ts'
import { createMissed } from './missed.ts'
import type { OutboxOptions } from './outbox.ts'
import type { RetainedStore } from './retained-store.ts'
import { createRoutes } from './routes.ts'
import type { Routes } from './routes.ts'
import { createSessionRecords } from './session-records.ts'
import type { SessionBounds } from './session-records.ts'
import { createSessionStore } from './session-store.ts'
import type { SessionStore } from './session-store.ts'
import type { Session } from './sessions.ts'
import { createShares } from './shared.ts'
import { createSubscriptions } from './subscriptions.ts'
import type { Subscriptions } from './subscriptions.ts'
import { createWills } from './wills.ts'

export interface ClusterOptions {
  readonly bus: Bus
  readonly publisher: Publisher
  readonly nodes: Nodes
  readonly authority: Authority
  readonly publish: Publish
  readonly log: Logger
  readonly refusals: Refusals
  /** Of sessions that end with their connection. */
  readonly liveRoutes: Routes
  /** Told of the arrival of each message that was handed over. */
  readonly onDelivered: (receivedAtNs: bigint) => void
  readonly retained: RetainedStore
  readonly outbox: OutboxOptions
  readonly sessionExpiryS: number
  readonly bounds: SessionBounds
  readonly maxGroupsPerDomain: number
  /** A will is on the stream. */
  readonly onStored: (message: Message) => void
  /** Another process takes the session: resolves when it is written. */
  readonly letGo: (key: string) => Promise<void>
  /** Another process has taken the session. */
  readonly onTaken: (session: Session) => void
  /** What the session has to say cannot be written down: it cannot go on. */
  readonly onUnwritable: (session: Session, error: Error) => void
}

/** What makes any number of processes one broker: sessions that all of them can take up. */
export interface Cluster {
  readonly sessions: SessionStore
  readonly subscriptions: Subscriptions
  readonly lookBack: LookBack
  /** What the session may receive has changed. */
  refresh(session: Session): void
  /** Last place of the stream `messages`. @throws {Unavailable} */
  lastPlace(): Promise<number>
  stop(): Promise<void>
}

/** Of what a domain may keep, one client may a sixteenth. */
const CLIENT_SHARE = 16

export async function createCluster(options: ClusterOptions): Promise<Cluster> {
  const { bus, publisher, nodes, authority, publish, refusals, letGo } = options
  const { bounds } = options
  const records = createSessionRecords(await createRecords(bus, publisher, SESSIONS_STREAM), bounds)
  const feed = createStreamFeed(bus)
  const storedRoutes = createRoutes(storedFeed(feed), options.log, options.onDelivered)
  const groups = createGroups({ bus, records, maxPerDomain: options.maxGroupsPerDomain })
  const shares = createShares(bus, groups, options.sessionExpiryS)
  const subscriptions = createSubscriptions({ live: options.liveRoutes, stored: storedRoutes, shares })
  const wills = createWills({ authority, publish, refusals, onStored: options.onStored })
  const claims = createClaims({ bus, nodes, records, letGo })
  const caretaker = createCaretaker({
    bus,
    nodes,
    records,
    wills,
    maxKeptBytesPerClient: bounds.maxDomainSessionBytes / CLIENT_SHARE,
    onEvict: ({ domainId, id }) => refusals.note('session_evicted', { domainId, clientId: id }),
  })
  const lastPlace = shared(async () => {
    const manager = await bus.connection.jetstreamManager({ checkAPI: false })
    try {
      return (await manager.streams.info(MESSAGES_STREAM)).state.last_seq
    } catch (error) {
      throw new Unavailable('the stream does not answer', { cause: error })
    }
  })
  const sessions = createSessionStore({
    bus,
    node: nodes.id,
    records,
    claims,
    caretaker,
    wills,
    authority,
    subscriptions,
    feed,
    lastPlace,
    missed: createMissed(bus),
    retained: options.retained,
    outbox: options.outbox,
    sessionExpiryS: options.sessionExpiryS,
    onDrop: (session, reason) => refusals.note(reason, { clientId: session.principal.id }),
    onTaken: options.onTaken,
    onUnwritable: options.onUnwritable,
  })
  // Others may have thought that we were gone, and taken what we had.
  const confirmAll = (): void => sessions.confirmAll()
  const removeListeners = [bus.onReconnect(confirmAll), nodes.onStoodStill(confirmAll)]

  return {
    sessions,
    subscriptions,
    lookBack: createLookBack(bus, lastPlace),
    refresh: (session) => shares.refresh(session),
    lastPlace,
    async stop() {
      for (const remove of removeListeners) remove()
      // First, since it takes all of the others to write them.
      await sessions.stop()
      claims.stop()
      caretaker.stop()
      shares.stop()
      groups.stop()
      storedRoutes.stop()
      await feed.stop()
    },
  }
}

/** Those who ask while nobody has begun to answer get one answer. */
function shared<T>(ask: () => Promise<T>): () => Promise<T> {
  let next: Promise<T> | undefined
  return () => {
    // In a microtask of its own, so that everybody who asks in this turn goes along and nobody gets an answer from before.
    next ??= Promise.resolve().then(() => {
      next = undefined
      return ask()
    })
    return next
  }
}
