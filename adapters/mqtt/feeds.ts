import type { StreamFeed } from '../../platform/bus/stream-feed.ts'
import { filterSubjects } from '../../platform/bus/subject.ts'
import type { ChannelFeed } from '../../platform/bus/subscriptions.ts'
import type { Feed } from './routes.ts'

/** Messages as they are published: for sessions that end with their connection. */
export function liveFeed(feed: ChannelFeed): Feed {
  return {
    follow: (address, listener, onMissed) =>
      feed.follow(address, (message) => listener(message, 0), onMissed),
  }
}

/** Messages as the stream has them, each with its place: for sessions that go on after a connection, here or elsewhere. */
export function storedFeed(feed: StreamFeed): Feed {
  return {
    follow({ domainId, channelId }, listener) {
      const parts = filterSubjects(domainId, channelId, ['#']).map((subject) =>
        feed.follow(subject, listener),
      )
      const ready = Promise.all(parts.map((part) => part.ready)).then(() => undefined)
      // Who does not wait for it has no use for the rejection either.
      ready.catch(() => undefined)
      return {
        ready,
        stop() {
          for (const part of parts) part.stop()
        },
      }
    },
  }
}
