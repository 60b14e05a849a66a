import { createHash } from 'node:crypto'
import type { Logger } from '../../platform/log.ts'
import type { Message } from '../../platform/bus/message.ts'
import type { Following } from '../../platform/bus/subscriptions.ts'
import { QuotaExceeded } from '../../platform/errors.ts'
import type { ChannelAddress } from '../authority.ts'
import { commonOf } from './deliveries.ts'
import { Form, isExact } from './forms.ts'
import type { Route, Session } from './sessions.ts'

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
   * @param how.isRestored whether the session had it before: it was granted then, and is not refused now
   * @throws {Unavailable} the bus is away
   * @throws {QuotaExceeded} the channel's filters place their wildcards in too many ways
   */
  add(route: Route, how?: { readonly isRestored: boolean }): Promise<void>
  /** @returns whether there was one */
  remove(session: Session, filter: string): boolean
  stop(): void
}

/**
 * Ways of placing wildcards in the filters of one channel. Each costs a look-up for every message of the channel, so they
 * are what a hostile tenant could slow the process down with; the number of filters costs nothing.
 */
const MAX_SHAPES = 256

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
        for (const form of channel.forms.values()) form.deliver(message, common, seq)
        onDelivered(message.receivedAtNs)
      },
      (message) => {
        for (const form of channel.forms.values()) {
          for (const route of form.owed(message)) onMissed(route.session)
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
    form.delete(route)
    if (form.isEmpty) channel.forms.delete(route.prefix)
    releaseGrant(route)
    release(channel)
  }

  function isTooWide({ forms }: Channel, { prefix, levels }: Route): boolean {
    if (isExact(levels) || forms.get(prefix)?.hasShapeOf(levels)) return false
    let shapes = 0
    for (const form of forms.values()) shapes += form.width
    return shapes >= MAX_SHAPES
  }

  function attach(channel: Channel, route: Route): void {
    let form = channel.forms.get(route.prefix)
    if (!form) {
      form = new Form(route.prefix)
      channel.forms.set(route.prefix, form)
    }
    form.add(route)
  }

  return {
    async add(route, { isRestored } = { isRestored: false }) {
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
      if (!isRestored && isTooWide(channel, route)) {
        releaseGrant(route)
        release(channel)
        const message = `filters of the channel place wildcards in more than ${MAX_SHAPES} ways`
        throw new QuotaExceeded('too_many_wildcard_shapes', message)
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

/** A name for the session that says nothing of it, the same on each node. */
function originOf({ key }: Session): string {
  return createHash('sha256').update(key).digest('base64url').slice(0, 22)
}
