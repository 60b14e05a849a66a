import { DomainError, QuotaExceeded } from '../../platform/errors.ts'
import type { ChannelAddress } from '../authority.ts'
import { findAllowed } from './access.ts'
import type { Place } from './bookmarks.ts'
import { Reason, reasonFor } from './codes.ts'
import type { Peer } from './peer.ts'
import type { Cursor } from './cursor.ts'
import { encodeSuback, encodeUnsuback } from './answers.ts'
import type { Host } from './host.ts'
import { readSubscribe, readUnsubscribe } from './packets.ts'
import type { Subscription } from './packets.ts'
import { oweRetained, sendRetained } from './retained-delivery.ts'
import type { RetainedMessage } from './retained-store.ts'
import type { Route, Session } from './sessions.ts'
import { parseFilter } from './shared-filter.ts'
import type { Filter } from './shared-filter.ts'

/** What one filter of a SUBSCRIBE came to. */
interface Granted {
  /** Granted QoS, or the reason of the refusal. */
  readonly code: number
  /** Retained messages that go to the subscriber now. */
  readonly retained: readonly RetainedMessage[]
  readonly route?: Route
  /** Whether the session had no such filter before. */
  readonly isNew?: boolean
  /** Why it was refused, in words. */
  readonly text?: string | undefined
}

/**
 * SUBSCRIBE: each filter is granted or refused by itself, and the connection stays. SUBACK follows when the bus delivers
 * the channels here, retained messages follow SUBACK.
 *
 * Not left to Aedes 2.0.0-beta.1: it closes the connection on a bad filter, knows one reason for all refusals, and keeps
 * refused filters in the session.
 *
 * @throws {ProtocolViolation}
 */
export async function subscribe(host: Host, connection: Peer, cursor: Cursor): Promise<void> {
  const { session, version } = connection
  if (!session) return
  const { packetId, identifier, subscriptions } = readSubscribe(cursor, version)
  let granted: Granted[] = []
  let index = 0
  // One after the other: the second of two equal filters replaces the first [MQTT-3.8.4-3], and a SUBSCRIBE is no reason
  // to ask the authority many things at once.
  for (const subscription of subscriptions) {
    const isOver = (index += 1) > host.limits.maxSubscriptionsPerRequest
    granted.push(
      isOver
        ? refused(host, connection, Reason.quotaExceeded, 'too_many_filters')
        : await grant(host, connection, session, subscription, identifier),
    )
  }
  if (session.isDurable) granted = await written(host, connection, session, granted)
  if (session.isEnded) return
  const codes = granted.map(({ code }) => code)
  const text = connection.wantsReasons ? textOf(granted) : undefined
  const words = { text, maximumPacketSize: connection.maximumPacketSize }
  connection.answer(encodeSuback(version, packetId, codes, words)) // [MQTT-3.8.4-1] [MQTT-3.8.4-6]
  for (const { route, retained } of granted) {
    if (route) sendRetained(host, route, retained)
  }
}

async function grant(
  host: Host,
  connection: Peer,
  session: Session,
  subscription: Subscription,
  identifier: number,
): Promise<Granted> {
  const { filter, qos } = subscription
  const isNew = !session.subscriptions.has(filter)
  if (isNew && session.subscriptions.size >= host.limits.maxSubscriptions) {
    return refused(host, connection, Reason.quotaExceeded, 'too_many_subscriptions')
  }
  const { domainId } = session.principal
  if (isNew && host.subscriptions.countOf(domainId) >= host.limits.maxDomainSubscriptions) {
    return refused(host, connection, Reason.quotaExceeded, 'domain_subscriptions')
  }
  try {
    const { group, topic } = parseFilter(filter, host.limits.topics)
    const route = await makeRoute(host, session, subscription, { group, topic }, identifier)
    await host.subscriptions.add(route)
    // [MQTT-3.3.1-9] to [MQTT-3.3.1-11]
    // Retained messages are none of a group's (MQTT 5 section 4.8.2).
    const isAsking = subscription.retainHandling === 0 || (subscription.retainHandling === 1 && isNew)
    const wantsRetained = isAsking && group === undefined
    const retained = wantsRetained ? await host.retained.find(route.grant.channel, topic.levels) : []
    oweRetained(route, retained)
    return { code: qos, route, isNew, retained }
  } catch (error) {
    return refused(host, connection, reasonFor(error, 'subscribe'), error)
  }
}

async function makeRoute(
  host: Host,
  session: Session,
  { filter, qos, noLocal, retainAsPublished }: Subscription,
  { group, topic }: Filter,
  identifier: number,
): Promise<Route> {
  let changes: number
  let channel: ChannelAddress
  do {
    changes = session.changes
    channel = await findAllowed(host.authority, session.principal, topic, 'subscribe')
    // Something was taken or given while the answer was under way, so it may be the one from before.
  } while (changes !== session.changes)
  let grant = session.grants.get(channel.channelId)
  if (!grant) {
    grant = { channel, isAllowed: true, uses: 0 }
    session.grants.set(channel.channelId, grant)
  }
  grant.isAllowed = true
  const { prefix, levels } = topic
  const isStored = session.isDurable && group === undefined
  const since = isStored ? await beginningOf(host, session, filter, channel) : 0
  const place = isStored ? openPlace(session, channel, since) : undefined
  return { session, filter, prefix, levels, grant, qos, noLocal, retainAsPublished, identifier, place, since }
}

/**
 * From which place in the stream on the subscription wants messages. One that takes the place of another goes on where that
 * one began: many clients subscribe again as soon as they are back, and what waited for them is not lost [MQTT-3.8.4-4].
 */
async function beginningOf(
  host: Host,
  session: Session,
  filter: string,
  channel: ChannelAddress,
): Promise<number> {
  const before = session.subscriptions.get(filter)
  // A route may name another channel than it did.
  if (before?.place && before.grant.channel.channelId === channel.channelId) return before.since
  return host.lastPlace()
}

/** Where the session reads the channel: one that is new to it begins now, and live. */
function openPlace(session: Session, channel: ChannelAddress, since: number): Place {
  const isNew = !session.bookmarks.has(channel.channelId)
  const place = session.bookmarks.open(channel, () => since)
  if (isNew) for (const bookmark of [place.root, place.below]) bookmark.isLive = true
  return place
}

function refused(host: Host, connection: Peer, code: number, why: unknown): Granted {
  const fields = { code, ...connection.facts }
  if (typeof why === 'string') host.refusals.note(why, fields)
  else host.refusals.noteError(why, fields)
  const text = typeof why === 'string' ? why.replaceAll('_', ' ') : messageOf(why)
  return { code, retained: [], text }
}

const messageOf = (error: unknown): string | undefined =>
  error instanceof DomainError ? error.message : undefined

/** The first refusal, and which filter it is: there is one string for all of them. */
function textOf(granted: readonly Granted[]): string | undefined {
  const index = granted.findIndex(({ text }) => text !== undefined)
  return index === -1 ? undefined : `filter ${index + 1}: ${granted[index]?.text}`
}

/** @returns what was granted, now on file; or the same filters refused, and their subscriptions gone, if there is no room */
async function written(
  host: Host,
  connection: Peer,
  session: Session,
  granted: readonly Granted[],
): Promise<Granted[]> {
  try {
    if (session.encoded().length > host.limits.maxSessionBytes) {
      throw new QuotaExceeded('session_too_large', 'the session has no room for more subscriptions')
    }
    await committed(session)
    return [...granted]
  } catch (error) {
    if (session.isEnded || !(error instanceof QuotaExceeded)) throw error
    // One whose filter was there before goes on, as that did.
    const added = new Set(granted.filter(({ isNew }) => isNew).map(({ route }) => route?.filter ?? ''))
    for (const filter of added) host.subscriptions.remove(session, filter)
    session.ledger.touch()
    const code = reasonFor(error, 'subscribe')
    return granted.map((each) =>
      each.route && added.has(each.route.filter) ? refused(host, connection, code, error) : each,
    )
  }
}

/** Resolves when the session is on file: what SUBACK and UNSUBACK say holds whatever process goes on with it. */
function committed({ ledger }: Session): Promise<void> {
  return new Promise((resolve, reject) => ledger.commit((error) => (error ? reject(error) : resolve())))
}

/** UNSUBSCRIBE: filters are compared as written [MQTT-3.10.4-1]. */
export async function unsubscribe(host: Host, connection: Peer, cursor: Cursor): Promise<void> {
  const { session, version } = connection
  if (!session) return
  const { packetId, filters } = readUnsubscribe(cursor, version)
  const codes = filters.map((filter) =>
    host.subscriptions.remove(session, filter) ? Reason.success : Reason.noSubscriptionExisted,
  )
  if (session.isDurable) await committed(session)
  connection.answer(encodeUnsuback(version, packetId, codes)) // [MQTT-3.10.4-4]
}
