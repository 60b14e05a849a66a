import type { Msg, NatsError, Subscription } from 'nats'
import { readMessage } from './message.ts'
import type { Message } from './message.ts'
import type { Bus } from './connect.ts'
import { watchGaps } from './gaps.ts'
import { createRepeats } from './repeats.ts'
import { filterSubjects } from './subject.ts'

/** A part in a channel's live messages. */
export interface Following {
  /**
   * Resolves when the server has the subscription: what is published from then on arrives. Wait for it before telling
   * anybody "subscribed".
   *
   * Rejects with `Unavailable` when the bus is away. The part lasts until {@link stop} even then, and delivers after the
   * reconnect.
   */
  readonly ready: Promise<void>
  stop(): void
}

/** Live messages of channels, whoever published them and on whichever node. */
export interface ChannelFeed {
  /**
   * Calls back with each message of the channel, whatever its subtopic, exactly once. All listeners of one process share
   * one pair of subscriptions and one parse; a listener that throws harms no other.
   *
   * @param onMissed is told, once the bus is back, what may not have come while it was away: the message without its
   *   payload, or nothing where there is no telling. It may have come all the same, just before.
   */
  follow(
    address: { readonly domainId: string; readonly channelId: string },
    listener: (message: Message) => void,
    onMissed?: (message: Message | undefined) => void,
  ): Following
  stop(): void
}

interface Listener {
  readonly take: (message: Message) => void
  readonly miss: ((message: Message | undefined) => void) | undefined
}

interface Channel {
  readonly subscriptions: readonly Subscription[]
  readonly listeners: Set<Listener>
  /** Of the last round trip that succeeded or is under way. */
  ready: Promise<void> | undefined
}

export function createChannelFeed(bus: Bus): ChannelFeed {
  const channels = new Map<string, Channel>()
  const repeats = createRepeats()
  const gaps = watchGaps(bus, (message) => {
    if (!message) for (const channel of channels.values()) tellMissed(channel, undefined)
    const channel = message && channels.get(message.channelId)
    if (channel) tellMissed(channel, message)
  })

  function tellMissed({ listeners }: Channel, message: Message | undefined): void {
    for (const { miss } of listeners) {
      try {
        miss?.(message)
      } catch (error) {
        bus.log.error({ err: error }, 'listener could not be told what it missed')
      }
    }
  }

  function open(domainId: string, channelId: string): Channel {
    const listeners = new Set<Listener>()
    const callback = (error: NatsError | null, msg: Msg): void => {
      if (error) {
        // The server's own refusal: an operator's permissions do not let us read the channel.
        bus.log.error({ err: error, channelId }, 'subscription to a channel failed')
        return
      }
      const message = readMessage(msg)
      if (!message || (message.messageId !== undefined && repeats.has(message.messageId))) return
      for (const { take } of listeners) {
        try {
          take(message)
        } catch (thrown) {
          bus.log.error({ err: thrown, channelId }, 'delivery of a message failed')
        }
      }
    }
    // Two subjects that never both match, so that nothing arrives twice: the channel itself and all below it.
    const subscriptions = filterSubjects(domainId, channelId, ['#']).map((subject) =>
      bus.connection.subscribe(subject, { callback }),
    )
    return { subscriptions, listeners, ready: undefined }
  }

  function confirm(channel: Channel): Promise<void> {
    // Asked again only after a failure: nats.js renews subscriptions by itself when it reconnects.
    channel.ready ??= bus.flush().catch((error: unknown) => {
      channel.ready = undefined
      throw error
    })
    return channel.ready
  }

  return {
    stop: () => gaps.stop(),
    follow({ domainId, channelId }, take, miss) {
      let channel = channels.get(channelId)
      if (!channel) {
        channel = open(domainId, channelId)
        channels.set(channelId, channel)
      }
      const { listeners, subscriptions } = channel
      // An object of its own, so that the same function may follow twice and stop once.
      const own: Listener = { take, miss }
      listeners.add(own)
      const ready = confirm(channel)
      // Who does not wait for it has no use for the rejection either.
      ready.catch(() => undefined)
      return {
        ready,
        stop() {
          if (!listeners.delete(own) || listeners.size > 0) return
          channels.delete(channelId)
          for (const subscription of subscriptions) subscription.unsubscribe()
        },
      }
    },
  }
}
