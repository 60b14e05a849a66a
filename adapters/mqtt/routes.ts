import { createHash } from 'node:crypto'
import type { Logger } from '../../platform/log.ts'
import type { Message } from '../../platform/bus/message.ts'
import type { Following } from '../../platform/bus/subscriptions.ts'
import type { ChannelAddress } from '../authority.ts'
import { matchesFilter } from '../topics.ts'
import { bookmarkOf } from './bookmarks.ts'
import { commonOf, matchOf, merge, suffixOf, toDelivery, wants } from './deliveries.ts'
import type { Common, Match } from './deliveries.ts'
import type { Route, Session } from './sessions.ts'

/** Subscriptions that share a channel and the way of writing it. */
interface Form {
  readonly prefix: string
  /** Filters without wildcards, by what stands behind the prefix. */
  readonly exact: Map<string, Set<Route>>
  readonly wildcard: Set<Route>
}

/** Where routes get their messages from. */
export interface Feed {
  /**
   * @param listener is told the place in the stream too, where the feed knows it, else 0
   * @param onMissed of a feed that can have gaps: which message may not have come, or nothing where there is no telling
   */
  follow(
    address: ChannelAddress,
    listener: (message: Message, seq: number) => void,
    onMissed: (message: Message | undefined) => void,
  ): Following
}

interface Channel {
  readonly address: ChannelAddress
  readonly forms: Map<string, Form>
  following: Following | undefined
  /** Subscriptions that stand or are being made. */
  uses: number
}

export interface Routes {
  /**
   * Waits until the bus delivers the channel here, then lets the route have its messages; replaces the session's route
   * with the same filter. Does nothing for a session that ended meanwhile.
   *
   * @throws {Unavailable} the bus is away
   */
  add(route: Route): Promise<void>
  /** @returns whether there was one */
  remove(session: Session, filter: string): boolean
  stop(): void
}

function isExact(levels: readonly string[]): boolean {
  return !levels.includes('+') && levels.at(-1) !== '#'
}

/**
 * Who gets which message. Everything comes from the bus, whoever published it and on whichever node, so there is one way of
 * delivery and nothing arrives twice.
 *
 * A message goes once to each session and each way of writing the channel, with the highest QoS and all identifiers of the
 * filters that match (MQTT 5 section 3.3.4, [MQTT-3.3.4-2]).
 *
 * @param onMissed is told of sessions that may not have got what was acknowledged to its publisher, by a feed with gaps
 */
export function createRoutes(
  feed: Feed,
  log: Logger,
  onDelivered: (receivedAtNs: bigint) => void,
  onMissed: (session: Session) => void = () => undefined,
): Routes {
  const channels = new Map<string, Channel>()

  function follow(channel: Channel): Following {
    return feed.follow(
      channel.address,
      (message, seq) => {
        const common = commonOf(message)
        for (const form of channel.forms.values()) deliver(form, message, common, seq)
        onDelivered(message.receivedAtNs)
      },
      (message) => {
        for (const form of channel.forms.values()) {
          for (const route of owedIn(form, message)) onMissed(route.session)
        }
      },
    )
  }

  /** A part whose start failed is given up, so that the next subscriber waits for a new answer, not for the old one. */
  function refollow(channel: Channel, failed: Following): void {
    if (channel.following !== failed) return
    // Begun before the old one ends: the subscriptions that stand miss nothing.
    channel.following = channel.forms.size > 0 ? follow(channel) : undefined
    failed.stop()
  }

  function release(channel: Channel): void {
    channel.uses -= 1
    if (channel.uses > 0) return
    channel.following?.stop()
    channels.delete(channel.address.channelId)
  }

  function detach(route: Route): void {
    const channel = channels.get(route.grant.channel.channelId)
    const form = channel?.forms.get(route.prefix)
    if (!channel || !form) return
    const suffix = suffixOf(route.levels)
    const exact = form.exact.get(suffix)
    form.wildcard.delete(route)
    if (exact?.delete(route) && exact.size === 0) form.exact.delete(suffix)
    if (form.exact.size === 0 && form.wildcard.size === 0) channel.forms.delete(route.prefix)
    releaseGrant(route)
    release(channel)
  }

  function attach(channel: Channel, route: Route): void {
    let form = channel.forms.get(route.prefix)
    if (!form) {
      form = { prefix: route.prefix, exact: new Map(), wildcard: new Set() }
      channel.forms.set(route.prefix, form)
    }
    if (!isExact(route.levels)) {
      form.wildcard.add(route)
      return
    }
    const suffix = suffixOf(route.levels)
    const exact = form.exact.get(suffix)
    if (exact) exact.add(route)
    else form.exact.set(suffix, new Set([route]))
  }

  return {
    async add(route) {
      const { session, filter, grant } = route
      const { channelId } = grant.channel
      let channel = channels.get(channelId)
      if (!channel) {
        channel = { address: grant.channel, forms: new Map(), following: undefined, uses: 0 }
        channels.set(channelId, channel)
      }
      channel.uses += 1
      grant.uses += 1
      channel.following ??= follow(channel)
      const { following } = channel
      try {
        await following.ready
      } catch (error) {
        log.warn({ channelId, err: error }, 'bus does not take a subscription')
        refollow(channel, following)
        releaseGrant(route)
        release(channel)
        throw error
      }
      if (session.isEnded) {
        releaseGrant(route)
        return release(channel)
      }
      if (route.noLocal) session.origin ??= originOf(session)
      // In this order, so that no message falls between the old and the new.
      const before = session.subscriptions.get(filter)
      attach(channel, route)
      session.subscriptions.set(filter, route)
      if (before) detach(before)
    },
    remove(session, filter) {
      const route = session.subscriptions.get(filter)
      if (!route) return false
      session.subscriptions.delete(filter)
      detach(route)
      return true
    },
    stop() {
      for (const channel of channels.values()) channel.following?.stop()
      channels.clear()
    },
  }
}

/** A subscription is gone: what the session holds of the channel goes with its last. */
export function releaseGrant({ session, grant }: Route): void {
  grant.uses -= 1
  if (grant.uses > 0) return
  session.grants.delete(grant.channel.channelId)
  session.bookmarks.drop(grant.channel.channelId)
}

function deliver(form: Form, message: Message, common: Common, seq: number): void {
  const suffix = suffixOf(message.levels)
  const topic = form.prefix + suffix
  const exact = form.exact.get(suffix)
  if (exact && form.wildcard.size === 0 && exact.size === 1) {
    // The usual case, one device on its own topic, costs no map.
    for (const route of exact) {
      if (!admits(route, message, seq)) continue
      const match = matchOf(route, message, seq)
      route.session.outbox.deliver(toDelivery(topic, message, match, common))
    }
    return
  }
  const matches = new Map<Session, Match>()
  if (exact) for (const route of exact) collect(matches, route, message, seq)
  for (const route of form.wildcard) {
    if (matchesFilter(message.levels, route.levels)) collect(matches, route, message, seq)
  }
  for (const [session, match] of matches) session.outbox.deliver(toDelivery(topic, message, match, common))
}

/** Routes that a message was promised to, or any, where it is not known which one it was. */
function* owedIn({ exact, wildcard }: Form, message: Message | undefined): Iterable<Route> {
  if (!message) {
    for (const routes of [...exact.values(), wildcard])
      for (const route of routes) if (route.qos > 0) yield route
    return
  }
  for (const routes of [exact.get(suffixOf(message.levels)) ?? [], wildcard]) {
    for (const route of routes) {
      if (!matchesFilter(message.levels, route.levels) || !wants(route, message)) continue
      if (matchOf(route, message, 0).qos > 0) yield route
    }
  }
}

function admits(route: Route, message: Message, seq: number): boolean {
  if (!wants(route, message)) return false
  return route.place === undefined || takes(route, message, seq)
}

/** A name for the session that says nothing of it, the same on each node. */
function originOf({ key }: Session): string {
  return createHash('sha256').update(key).digest('base64url').slice(0, 22)
}

/** Whether a session that reads from the stream takes this message now, rather than later from there. */
function takes({ session, place, since }: Route, message: Message, seq: number): boolean {
  if (!place || seq <= since) return false
  const bookmark = bookmarkOf(place, message.levels)
  if (seq <= bookmark.at) return false
  // Decided once a message, whatever number of filters match: `newest` is the last one decided on.
  if (bookmark.isLive && bookmark.newest !== seq && session.outbox.isFull) {
    bookmark.at = seq - 1
    bookmark.isLive = false
    session.onBehind(bookmark)
  }
  bookmark.newest = seq
  return bookmark.isLive
}

function collect(matches: Map<Session, Match>, route: Route, message: Message, seq: number): void {
  if (admits(route, message, seq)) merge(matches, route.session, matchOf(route, message, seq))
}
