import { AckPolicy, DeliverPolicy } from 'nats'
import type { JetStreamManager, Msg, NatsError, Subscription } from 'nats'
import type { Bus } from '../../platform/bus/connect.ts'
import { readMessage } from '../../platform/bus/message.ts'
import { readPlace } from '../../platform/bus/puller.ts'
import { MESSAGES_STREAM } from '../../platform/bus/streams.ts'
import { Unavailable } from '../../platform/errors.ts'
import { sharedDelivery } from './deliveries.ts'
import { consumersOf, IDLE_MS, NS } from './groups.ts'
import type { GroupConsumer, Groups } from './groups.ts'
import { releaseGrant } from './routes.ts'
import type { Route, Session } from './sessions.ts'
import { Settlement } from './settlement.ts'

/** Subscriptions of which each message goes to one member, of whichever process. */
export interface Shares {
  /**
   * Makes the session a member; replaces its membership under the same filter.
   *
   * @throws {Unavailable}
   * @throws {QuotaExceeded}
   */
  add(route: Route, group: string): Promise<void>
  /** The member leaves: it gets nothing more, and keeps what it has been given for as long as its session goes on. */
  remove(route: Route): void
  /** What the session may receive has changed. */
  refresh(session: Session): void
  stop(): void
}

/** After this long without a word the server gives a message to another member: its process is gone. */
const ACK_WAIT_MS = 15_000
const EXTEND_MS = 5_000

/**
 * Over NATS queue groups: a consumer of the stream that all processes share gives each message to one of the members, and to
 * another when the first does not acknowledge it.
 *
 * @param sessionExpiryS a group that a session which outlives its connection was a member of lasts as long without one
 */
export function createShares(bus: Bus, groups: Groups, sessionExpiryS: number): Shares {
  const members = new Map<Route, Member>()
  /** Gone from their groups, with messages that their clients have not acknowledged yet. */
  const leaving = new Set<Member>()

  const timer = setInterval(() => {
    for (const member of members.values()) member.extend()
    // What has begun to go to a client is completed with it [MQTT-3.10.4-3]: nobody else is to get it meanwhile.
    for (const member of leaving) {
      if (member.isSettled) leaving.delete(member)
      else member.extend()
    }
  }, EXTEND_MS)
  timer.unref()

  async function join(member: Member): Promise<void> {
    try {
      const manager = await bus.connection.jetstreamManager({ checkAPI: false })
      await Promise.all(member.consumers.map((consumer) => ensure(manager, consumer, member.idleMs)))
      await bus.flush()
    } catch (error) {
      throw new Unavailable('the shared subscription could not be made', { cause: error })
    }
  }

  function remove(route: Route): void {
    const member = members.get(route)
    if (!member) return
    members.delete(route)
    member.leave()
    if (!member.isSettled) leaving.add(member)
    releaseGrant(route)
  }

  // A group without members for a while is forgotten by the server, and all were without a connection.
  const removeOnReconnect = bus.onReconnect(() => {
    for (const member of members.values()) {
      join(member).catch((error: unknown) => bus.log.warn({ err: error }, 'shared subscription not renewed'))
    }
  })

  return {
    async add(route, group) {
      const { session, filter, grant } = route
      const keptS = session.isDurable ? sessionExpiryS : 0
      const member = new Member(bus, route, group, Math.max(IDLE_MS, keptS * 1_000))
      grant.uses += 1
      members.set(route, member)
      try {
        // A session that comes back has made its groups before.
        const isOnFile = session.record.subscriptions.some((before) => before.filter === filter)
        if (!isOnFile) await groups.admit(grant.channel.domainId, member.consumers)
        await join(member)
      } catch (error) {
        remove(route)
        throw error
      }
      if (session.isEnded) return remove(route)
      const before = session.subscriptions.get(filter)
      session.subscriptions.set(filter, route)
      if (before) remove(before)
    },
    remove,
    refresh(session) {
      for (const route of session.subscriptions.values()) members.get(route)?.refresh()
    },
    stop() {
      clearInterval(timer)
      removeOnReconnect()
    },
  }
}

const QUEUE = 'members'

async function ensure(manager: JetStreamManager, consumer: GroupConsumer, idleMs: number): Promise<void> {
  const config = {
    durable_name: consumer.name,
    deliver_subject: consumer.deliverSubject,
    deliver_group: QUEUE,
    filter_subject: consumer.filterSubject,
    ack_policy: AckPolicy.Explicit,
    ack_wait: ACK_WAIT_MS * NS,
    deliver_policy: DeliverPolicy.New,
    inactive_threshold: idleMs * NS,
  }
  const present = await manager.consumers.info(MESSAGES_STREAM, consumer.name).catch(() => undefined)
  if (!present) {
    await manager.consumers.add(MESSAGES_STREAM, config)
  } else if ((present.config.inactive_threshold ?? 0) < config.inactive_threshold) {
    await manager.consumers.update(MESSAGES_STREAM, consumer.name, config)
  }
}

class Member {
  readonly consumers: readonly GroupConsumer[]
  /** How long the group lasts without members, so that this one may come back to it. */
  readonly idleMs: number
  readonly #bus: Bus
  readonly #route: Route
  readonly #unsettled = new Set<Settlement>()
  #subscriptions: Subscription[] = []
  #hasLeft = false

  constructor(bus: Bus, route: Route, group: string, idleMs: number) {
    this.#bus = bus
    this.#route = route
    this.consumers = consumersOf(route.grant.channel, route.levels, group)
    this.idleMs = idleMs
    this.refresh()
  }

  /** Takes part while the client may receive, and has room. */
  refresh(): void {
    const mayTake = this.#route.grant.isAllowed && !this.#hasLeft
    if (mayTake && this.#subscriptions.length === 0) this.#takePart()
    else if (!mayTake) this.#pause()
  }

  /** Whether nothing that was given to it is still to be acknowledged. */
  get isSettled(): boolean {
    return this.#unsettled.size === 0
  }

  extend(): void {
    for (const settlement of this.#unsettled) settlement.extend()
  }

  leave(): void {
    this.#hasLeft = true
    this.#pause()
  }

  #takePart(): void {
    const callback = (error: NatsError | null, msg: Msg): void => {
      if (error) this.#bus.log.error({ err: error }, 'subscription of a group failed')
      else this.#take(msg)
    }
    this.#subscriptions = this.consumers.map(({ deliverSubject }) =>
      this.#bus.connection.subscribe(deliverSubject, { queue: QUEUE, callback }),
    )
  }

  /** What the server has sent already still comes, and is handed over. */
  #pause(): void {
    for (const subscription of this.#subscriptions) {
      subscription.drain().catch(() => subscription.unsubscribe())
    }
    this.#subscriptions = []
  }

  #take(msg: Msg): void {
    const { session, grant } = this.#route
    const settlement = new Settlement(msg, (settled) => this.#unsettled.delete(settled))
    this.#unsettled.add(settlement)
    const message = readMessage(msg)
    if (!message) return settlement.accept()
    if (this.#hasLeft || session.isEnded || !grant.isAllowed) return settlement.handOver()
    session.outbox.deliver(
      sharedDelivery(this.#route, message, readPlace(msg.reply ?? '').streamSeq, settlement),
    )
    if (session.outbox.isFull) void this.#rest(session)
  }

  async #rest({ outbox }: Session): Promise<void> {
    this.#pause()
    await outbox.room()
    this.refresh()
  }
}
