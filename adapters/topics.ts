import { InvalidInput } from '../platform/errors.ts'

/**
 * The one grammar of topics, for every adapter. Two forms, both with an optional leading slash over MQTT:
 *
 *     m/<domain>/c/<channel>[/<level>…]      domain and channel by id or by route
 *     channels/<channel>/messages[/<level>…] the older form; the channel id alone names the domain
 *
 * MQTT keeps empty levels ([MQTT-4.7.1-1] and section 4.7.3); HTTP and WebSocket paths drop them.
 */
export interface Topic {
  /** Id or route as written, absent in the older form. */
  readonly domain: string | undefined
  /** Id or route as written; an id alone in the older form. */
  readonly channel: string
  /** Levels behind the channel. In a filter `+` and a last `#` are wildcards. */
  readonly levels: readonly string[]
  /** What stands in front of the levels, as written: a subscriber gets its messages under the prefix it asked for. */
  readonly prefix: string
}

/** A topic, a filter or a path that is not in the grammar. */
export class InvalidTopic extends InvalidInput {
  constructor(message: string) {
    super(message, { code: 'invalid_topic' })
  }
}

export interface TopicLimits {
  /** Of a whole topic, MQTT's slashes counted. */
  readonly maxLevels: number
  /** Of a whole topic in UTF-8, percent-encoding off. */
  readonly maxBytes: number
}

/** A hundred levels are also what Aedes's matcher can hold; what is longer does not fit into a subject of the bus. */
export const TOPIC_LIMITS: TopicLimits = { maxLevels: 100, maxBytes: 3_900 }

const REFERENCE = /^[a-zA-Z0-9_-]{1,36}$/

function split(all: readonly string[], start: number): Topic {
  const domain = all[start] === 'm' ? all[start + 1] : undefined
  const isOlder = all[start] === 'channels' && all[start + 2] === 'messages'
  const isCurrent = all[start] === 'm' && all[start + 2] === 'c'
  if (!isOlder && !isCurrent) {
    throw new InvalidTopic('topic is not of the form m/<domain>/c/<channel>[/<subtopic>]')
  }
  const behind = start + (isOlder ? 3 : 4)
  const channel = isOlder ? all[start + 1] : all[start + 3]
  if (isCurrent && (domain === undefined || !REFERENCE.test(domain)))
    throw new InvalidTopic('bad domain in topic')
  if (channel === undefined || !REFERENCE.test(channel)) throw new InvalidTopic('bad channel in topic')
  return { domain, channel, levels: all.slice(behind), prefix: all.slice(0, behind).join('/') }
}

function checkLength(text: string, { maxBytes }: TopicLimits): void {
  if (Buffer.byteLength(text) > maxBytes) throw new InvalidTopic(`topic is longer than ${maxBytes} bytes`)
}

function checkDepth(all: readonly string[], { maxLevels }: TopicLimits): void {
  if (all.length > maxLevels) throw new InvalidTopic(`topic has more than ${maxLevels} levels`)
}

function splitMqtt(text: string, limits: TopicLimits): Topic {
  checkLength(text, limits)
  const all = text.split('/')
  checkDepth(all, limits)
  return split(all, all[0] === '' ? 1 : 0)
}

/**
 * Reads the topic of an MQTT PUBLISH or of a will.
 *
 * @throws {InvalidTopic} not in the grammar, or with a wildcard [MQTT-3.3.2-2]
 */
export function parseTopicName(text: string, limits = TOPIC_LIMITS): Topic {
  if (text.includes('+') || text.includes('#'))
    throw new InvalidTopic('wildcard in the topic of a publication')
  return splitMqtt(text, limits)
}

/**
 * Reads an MQTT subscription filter. Domain and channel are literal, wildcards stand behind them alone.
 *
 * @throws {InvalidTopic} not in the grammar; a wildcard that is not a whole level, or `#` that is not the last
 *   [MQTT-4.7.1-2] [MQTT-4.7.1-3]
 */
export function parseTopicFilter(text: string, limits = TOPIC_LIMITS): Topic {
  const topic = splitMqtt(text, limits)
  checkWildcards(topic.levels)
  return topic
}

function checkWildcards(levels: readonly string[]): void {
  for (const [index, level] of levels.entries()) {
    if (level.includes('#') && (level !== '#' || index !== levels.length - 1)) {
      throw new InvalidTopic('# must be a whole level, and the last')
    }
    if (level.includes('+') && level !== '+') throw new InvalidTopic('+ must be a whole level')
  }
}

/**
 * Reads the path of an HTTP publish or of a WebSocket, percent-encoding still on. `/http` and `/ws` in front are dropped;
 * the short form `/c/<channel>/m` is taken too. Empty levels are dropped, also at the ends.
 *
 * @param use `publish` refuses what could be a wildcard on any side (`+ # * >`), blanks and `..`;
 *   `subscribe` takes `+` and a last `#` as wildcards
 * @returns `undefined` when the path does not begin like a topic at all, so that another route may have it
 * @throws {InvalidTopic} it begins like a topic and is not one
 */
export function parseTopicPath(
  path: string,
  use: 'publish' | 'subscribe',
  limits = TOPIC_LIMITS,
): Topic | undefined {
  const encoded = path.split('/').filter((level) => level !== '')
  if (encoded[0] === 'http' || encoded[0] === 'ws') encoded.shift()
  if (encoded[0] === 'c' && encoded[2] === 'm') encoded.splice(0, 3, 'channels', encoded[1] ?? '', 'messages')
  const looksLikeTopic =
    (encoded[0] === 'm' && encoded[2] === 'c') || (encoded[0] === 'channels' && encoded[2] === 'messages')
  if (!looksLikeTopic) return undefined
  checkDepth(encoded, limits)
  const decoded = encoded.map(decode).filter((level) => level !== '')
  checkLength(decoded.join('/'), limits)
  const topic = split(decoded, 0)
  if (use === 'subscribe') checkWildcards(topic.levels)
  for (const level of topic.levels) {
    if (use === 'publish' && /[+#*>]/.test(level))
      throw new InvalidTopic('wildcard in the subtopic of a publication')
    // A slash can only come out of the percent-encoding here, and would make one level two.
    if (/[\s/\p{Cc}]/u.test(level) || level === '..') throw new InvalidTopic('bad character in subtopic')
  }
  return topic
}

function decode(level: string): string {
  try {
    return decodeURIComponent(level)
  } catch {
    throw new InvalidTopic('bad percent-encoding in topic')
  }
}

/**
 * Whether a message's levels match those of a filter behind the same channel. `+` stands for one level, a last `#` for any
 * number of them, none included: `a/#` also takes `a` (MQTT 3.1.1 section 4.7.1.2).
 */
export function matchesFilter(levels: readonly string[], filter: readonly string[]): boolean {
  for (let index = 0; index < filter.length; index += 1) {
    const wanted = filter[index]
    if (wanted === '#') return true
    if (index >= levels.length || (wanted !== '+' && wanted !== levels[index])) return false
  }
  return levels.length === filter.length
}

/** Whether the topic is a filter: nothing can be published on it. */
export function hasWildcard(topic: Topic): boolean {
  return topic.levels.some((level) => level === '+' || level === '#')
}
