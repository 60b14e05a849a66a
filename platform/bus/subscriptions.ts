import type { Msg, NatsError, Subscription } from 'nats'
import { readMessage } from './message.ts'
import type { Message } from './message.ts'
import type { Bus } from './connect.ts'
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
   */
  follow(
    address: { readonly domainId: string; readonly channelId: string },
    listener: (message: Message) => void,
  ): Following
}

interface Channel {
  readonly subscriptions: readonly Subscription[]
  readonly listeners: Set<(message: Message) => void>
  /** Of the last round trip that succeeded or is under way. */
  ready: Promise<void> | undefined
}

export function createChannelFeed(bus: Bus): ChannelFeed {
  const channels = new Map<string, Channel>()
  const repeats = createRepeats()

  function open(domainId: string, channelId: string): Channel {
    const listeners = new Set<(message: Message) => void>()
    const callback = (error: NatsError | null, msg: Msg): void => {
      if (error) {
        // The server's own refusal: an operator's permissions do not let us read the channel.
        bus.log.error({ err: error, channelId }, 'subscription to a channel failed')
        return
      }
      const message = readMessage(msg)
      if (!message || (message.messageId !== undefined && repeats.has(message.messageId))) return
      for (const listener of listeners) {
        try {
          listener(message)
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
    follow({ domainId, channelId }, listener) {
      let channel = channels.get(channelId)
      if (!channel) {
        channel = open(domainId, channelId)
        channels.set(channelId, channel)
      }
      const { listeners, subscriptions } = channel
      // Wrapped, so that the same function may follow twice and stop once.
      const own = (message: Message): void => listener(message)
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
