import { InvalidTopic, parseTopicPath } from '../topics.ts'
import type { Topic, TopicLimits } from '../topics.ts'

/** What a path asks of this adapter. */
export type Route =
  /** The topic is the path, the body the payload. */
  | { readonly kind: 'topic'; readonly topic: Topic | InvalidTopic; readonly isShared: boolean }
  /** `/publish`: topic and payload are in the body. */
  | { readonly kind: 'envelope' }
  /** `/hc/<domain>`: are my credentials good? */
  | { readonly kind: 'health'; readonly domain: string }

/** Devices publish to the same paths again and again. Forgotten all at once when there are more. */
const MAX_KNOWN = 4_096
const MAX_KNOWN_LENGTH = 256

/** {@link readRoute}, from memory where it can be. */
export function createRouteReader(limits: TopicLimits): (path: string) => Route | undefined {
  const known = new Map<string, Route>()
  return (path) => {
    const found = known.get(path)
    if (found) return found
    const route = readRoute(path, limits)
    const isGood = route?.kind === 'topic' && !(route.topic instanceof Error)
    if (isGood && path.length <= MAX_KNOWN_LENGTH) {
      if (known.size >= MAX_KNOWN) known.clear()
      known.set(path, route)
    }
    return route
  }
}

/**
 * Reads the path of a request (api.md 11).
 *
 * @returns `undefined` when the path belongs to somebody else. An `isShared` path does so with every method but POST: there
 *   the reader answers.
 */
function readRoute(path: string, limits: TopicLimits): Route | undefined {
  const [, envelope, healthDomain] = /^(?:\/http)?\/(?:(publish)|hc\/([^/]+))\/?$/.exec(path) ?? []
  if (envelope !== undefined) return { kind: 'envelope' }
  if (healthDomain !== undefined) return { kind: 'health', domain: healthDomain }
  const isShared = !/^(?:\/http)?\/m\//.test(path)
  try {
    const topic = parseTopicPath(path, 'publish', limits)
    return topic && { kind: 'topic', topic, isShared }
  } catch (error) {
    // Kept for later: who has no credentials learns of nothing else.
    if (error instanceof InvalidTopic) return { kind: 'topic', topic: error, isShared }
    throw error
  }
}
