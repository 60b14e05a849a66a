import type { MessageProperties } from '../../platform/bus/properties.ts'
import { malformed, protocolError } from './codes.ts'
import type { Cursor } from './cursor.ts'
import { readMessageProperties } from './message-properties.ts'
import { Property, readProperties } from './properties.ts'

/** Types of control packets, MQTT 5 section 2.1.2. */
export const Type = {
  connect: 1,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  unsubscribe: 10,
  pingreq: 12,
  disconnect: 14,
} as const

/** Protocol level: 3 is MQTT 3.1, 4 is 3.1.1. */
export type Version = 3 | 4 | 5
export type Qos = 0 | 1 | 2

export interface Subscription {
  readonly filter: string
  readonly qos: Qos
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  readonly retainHandling: 0 | 1 | 2
}

export interface Subscribe {
  readonly packetId: number
  /** Subscription Identifier; 0 is none. */
  readonly identifier: number
  readonly subscriptions: readonly Subscription[]
}

export interface Unsubscribe {
  readonly packetId: number
  readonly filters: readonly string[]
}

/**
 * Checks a PUBLISH whole, without making an object of it: Aedes's parser reads it again, all but the properties.
 *
 * @param flags the low four bits of the fixed header
 * @returns its properties; `undefined` when the packet has none, not even an alias
 * @throws {ProtocolViolation}
 */
export function readPublish(cursor: Cursor, flags: number, version: Version): MessageProperties | undefined {
  const qos = (flags >> 1) & 0x03
  if (qos === 3) throw malformed('QoS 3') // [MQTT-3.3.1-4]
  if (qos === 0 && flags & 0x08) throw malformed('DUP on QoS 0') // [MQTT-3.3.1-2]
  const topicLength = cursor.skipString()
  if (qos > 0) cursor.packetId()
  if (version === 5) return readMessageProperties(cursor, 'publish', topicLength === 0)
  if (topicLength === 0) throw protocolError('empty topic') // [MQTT-4.7.3-1]
  return undefined
}

/** PUBACK, PUBREC, PUBREL and PUBCOMP. @returns packet identifier and reason code */
export function readAck(cursor: Cursor, version: Version): { packetId: number; reason: number } {
  const packetId = cursor.packetId()
  let reason = 0
  if (version === 5) {
    if (cursor.remaining > 0) reason = cursor.byte()
    if (cursor.remaining > 0) readProperties(cursor, 'ack')
  }
  if (cursor.remaining > 0) throw malformed('acknowledgement is longer than its fields')
  return { packetId, reason }
}

/** @param mayOutlive whether CONNECT asked for a session that outlives the connection */
export function checkDisconnect(cursor: Cursor, version: Version, mayOutlive: boolean): void {
  if (version === 5) {
    if (cursor.remaining > 0) cursor.skip(1)
    if (cursor.remaining > 0) {
      readProperties(cursor, 'disconnect', (property, value) => {
        // MQTT 5 section 3.14.2.2.2.
        if (property === Property.sessionExpiryInterval && value > 0 && !mayOutlive) {
          throw protocolError('a session that was to end with its connection')
        }
      })
    }
  }
  if (cursor.remaining > 0) throw malformed('DISCONNECT is longer than its fields')
}

export function readSubscribe(cursor: Cursor, version: Version): Subscribe {
  const packetId = cursor.packetId()
  let identifier = 0
  if (version === 5) {
    readProperties(cursor, 'subscribe', (property, value) => {
      if (property === Property.subscriptionIdentifier) identifier = value
    })
  }
  const subscriptions: Subscription[] = []
  do {
    subscriptions.push(readSubscription(cursor, version)) // at least one [MQTT-3.8.3-2]
  } while (cursor.remaining > 0)
  return { packetId, identifier, subscriptions }
}

function readSubscription(cursor: Cursor, version: Version): Subscription {
  const filter = cursor.string()
  const options = cursor.byte()
  const qos = options & 0x03
  const retainHandling = (options >> 4) & 0x03
  // [MQTT-3.8.3-5] and, before MQTT 5, [MQTT-3.8.3-4]
  if (qos === 3 || retainHandling === 3 || options & (version === 5 ? 0xc0 : 0xfc)) {
    throw malformed('bad subscription options')
  }
  const noLocal = (options & 0x04) !== 0
  if (noLocal && filter.startsWith('$share/')) throw protocolError('No Local on a shared subscription')
  return {
    filter,
    qos: qos as Qos,
    noLocal,
    retainAsPublished: (options & 0x08) !== 0,
    retainHandling: retainHandling as 0 | 1 | 2,
  }
}

export function readUnsubscribe(cursor: Cursor, version: Version): Unsubscribe {
  const packetId = cursor.packetId()
  if (version === 5) readProperties(cursor, 'unsubscribe')
  const filters: string[] = []
  do {
    filters.push(cursor.string()) // at least one [MQTT-3.10.3-2]
  } while (cursor.remaining > 0)
  return { packetId, filters }
}
