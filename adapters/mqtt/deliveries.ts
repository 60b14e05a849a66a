import type { Message } from '../../platform/bus/message.ts'
import { matchesFilter } from '../topics.ts'
import { newShare } from './backlog.ts'
import type { Share } from './backlog.ts'
import { bookmarkOf } from './bookmarks.ts'
import type { Bookmark, Delivery, SharedProperties, Source } from './encode.ts'
import { encodeMessageProperties } from './message-properties.ts'
import type { Qos } from './packets.ts'
import type { Route, Session } from './sessions.ts'
import type { Settlement } from './settlement.ts'

/** Levels as they stand behind a prefix: nothing, or each with its slash. */
export function suffixOf(levels: readonly string[]): string {
  let suffix = ''
  for (const level of levels) suffix += `/${level}`
  return suffix
}

/** QoS towards subscribers: MQTT publishers choose, all others wrote to the stream and mean it to arrive. */
function qosOf(message: Message): Qos {
  return message.protocol === 'mqtt' ? message.qos : 1
}

/** What the filters of one session come to for one message. */
export interface Match {
  readonly source: Source | undefined
  qos: Qos
  retain: boolean
  readonly identifiers: number[]
}

const NO_IDENTIFIERS: readonly number[] = []

export function matchOf(route: Route, message: Message, seq: number): Match {
  return {
    source: route.place && { bookmark: bookmarkOf(route.place, message.levels), seq },
    qos: Math.min(route.qos, qosOf(message)) as Qos, // [MQTT-3.8.4-8]
    retain: route.retainAsPublished && message.retain, // [MQTT-3.3.1-12] [MQTT-3.3.1-13]
    identifiers: route.identifier === 0 ? [] : [route.identifier],
  }
}

export function merge<K>(matches: Map<K, Match>, key: K, match: Match): void {
  const other = matches.get(key)
  if (!other) {
    matches.set(key, match)
    return
  }
  other.qos = Math.max(other.qos, match.qos) as Qos
  other.retain ||= match.retain
  other.identifiers.push(...match.identifiers)
}

/** Whether the client may have the message, and does not keep away its own. */
export function wants(route: Route, message: Message): boolean {
  if (!route.grant.isAllowed) return false
  return !(route.noLocal && message.properties?.session === route.session.origin) // [MQTT-3.8.3-3]
}

/** What all deliveries of one message have in common, made once. */
export interface Common {
  readonly contentType: string | undefined
  readonly properties: SharedProperties | undefined
  readonly share: Share
}

export function commonOf({ contentType, properties, receivedAtNs }: Message): Common {
  return {
    contentType: properties?.contentType ?? (contentType === '' ? undefined : contentType),
    properties: properties && {
      bytes: encodeMessageProperties(properties),
      expiryS: properties.expiryS,
      receivedAtMs: Number(receivedAtNs / 1_000_000n),
    },
    share: newShare(),
  }
}

export function toDelivery(topic: string, { payload }: Message, match: Match, common: Common): Delivery {
  return {
    topic,
    payload,
    qos: match.qos,
    retain: match.retain,
    contentType: common.contentType,
    properties: common.properties,
    identifiers: match.identifiers.length === 0 ? NO_IDENTIFIERS : match.identifiers,
    share: common.share,
    source: match.source,
  }
}

/**
 * What a session gets of one message that it reads from the stream by itself, once for each way of writing the channel.
 */
export function deliveriesFor(session: Session, message: Message, seq: number): Delivery[] {
  const byPrefix = new Map<string, Match>()
  for (const route of session.subscriptions.values()) {
    if (route.grant.channel.channelId !== message.channelId || seq <= route.since) continue
    if (!matchesFilter(message.levels, route.levels) || !wants(route, message)) continue
    merge(byPrefix, route.prefix, matchOf(route, message, seq))
  }
  const common = commonOf(message)
  const suffix = suffixOf(message.levels)
  return [...byPrefix].map(([prefix, match]) => toDelivery(prefix + suffix, message, match, common))
}

/** A message that its group has given to this member. */
export function sharedDelivery(
  route: Route,
  message: Message,
  seq: number,
  settlement: Settlement,
): Delivery {
  const topic = route.prefix + suffixOf(message.levels)
  const match = { ...matchOf(route, message, seq), source: { bookmark: NO_BOOKMARK, seq } }
  return { ...toDelivery(topic, message, match, commonOf(message)), settlement }
}

/** Of messages that a session does not read by itself. */
const NO_BOOKMARK: Bookmark = { subject: '', channelId: '', at: 0, isLive: true, newest: 0 }
