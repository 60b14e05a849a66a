import type { Share } from './backlog.ts'
import { Reason, returnCodeFor } from './codes.ts'
import type { ReasonCode } from './codes.ts'
import type { Qos, Version } from './packets.ts'
import { Property } from './properties.ts'
import type { Settlement } from './settlement.ts'
import { stringBytes, variableBytes, writeString, writeVariable } from './write.ts'

/** Packets that we write ourselves; Aedes writes the others. All return whole packets. */

export function encodeConnackRefusal(version: number, reason: ReasonCode): Buffer {
  return version >= 5
    ? Buffer.from([0x20, 3, 0, reason, 0])
    : Buffer.from([0x20, 2, 0, returnCodeFor(reason)])
}

/** MQTT 5 only; earlier versions know no DISCONNECT of the server. */
export function encodeDisconnect(reason: ReasonCode): Buffer {
  return Buffer.from([0xe0, 1, reason])
}

const PUBACK = 0x40
const PUBREC = 0x50
const PUBREL = 0x62

function encodeAck(first: number, packetId: number, reason: ReasonCode): Buffer {
  // Success is the reason when none is given (MQTT 5 section 3.4.2.1), and the only form before MQTT 5.
  return reason === Reason.success
    ? Buffer.from([first, 2, packetId >> 8, packetId & 0xff])
    : Buffer.from([first, 3, packetId >> 8, packetId & 0xff, reason])
}

/** PUBACK of QoS 1, PUBREC of QoS 2, with what went wrong. MQTT 5 only. */
export function encodePublishRefusal(qos: 1 | 2, packetId: number, reason: ReasonCode): Buffer {
  return encodeAck(qos === 1 ? PUBACK : PUBREC, packetId, reason)
}

export function encodePuback(packetId: number): Buffer {
  return encodeAck(PUBACK, packetId, Reason.success)
}

export function encodePubrel(packetId: number): Buffer {
  return encodeAck(PUBREL, packetId, Reason.success)
}

/** @param codes one a filter: granted QoS or reason code; before MQTT 5 every failure is 0x80 [MQTT-3.9.3-2] */
export function encodeSuback(version: Version, packetId: number, codes: readonly number[]): Buffer {
  const head = encodeHead(0x90, packetId, version === 5 ? 1 + codes.length : codes.length)
  const payload = version === 5 ? [0, ...codes] : codes.map((code) => (code < 0x80 ? code : 0x80))
  return Buffer.concat([head, Buffer.from(payload)])
}

/** @param codes one a filter; not sent before MQTT 5 */
export function encodeUnsuback(version: Version, packetId: number, codes: readonly number[]): Buffer {
  if (version !== 5) return encodeHead(0xb0, packetId, 0)
  return Buffer.concat([encodeHead(0xb0, packetId, 1 + codes.length), Buffer.from([0, ...codes])])
}

function encodeHead(first: number, packetId: number, restBytes: number): Buffer {
  const head = Buffer.allocUnsafe(1 + variableBytes(2 + restBytes) + 2)
  head[0] = first
  const at = writeVariable(head, 1, 2 + restBytes)
  head.writeUInt16BE(packetId, at)
  return head
}

/** What MQTT 5 clients are told of a message, beside its content type. Made once for all of them. */
export interface SharedProperties {
  /** As they stand in the packet. */
  readonly bytes: Buffer
  readonly expiryS: number | undefined
  readonly receivedAtMs: number
}

/** A message on its way to one client. Payload and properties are shared with others and never changed. */
export interface Delivery {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: Qos
  readonly retain: boolean
  readonly contentType: string | undefined
  readonly properties: SharedProperties | undefined
  /** Subscription Identifiers of all subscriptions that match [MQTT-3.3.4-3] [MQTT-3.3.4-4]. */
  readonly identifiers: readonly number[]
  /** The same for all deliveries of one message. */
  readonly share: Share
  /** Where a session that outlives its connection got the message from. */
  readonly source?: Source | undefined
  /** Of a message that a group shares. */
  readonly settlement?: Settlement | undefined
}

/** A place in the stream, as a session that reads there sees it. */
export interface Source {
  readonly bookmark: Bookmark
  readonly seq: number
}

/** How far a session has come with one subject of the stream. */
export interface Bookmark {
  readonly subject: string
  readonly channelId: string
  /** Everything up to here was taken, or is not wanted. */
  at: number
  /** Whether messages are taken as they come. If not, they are read from the stream behind {@link at}. */
  isLive: boolean
  /** The last one that came and was not taken. */
  newest: number
}

/** What of a PUBLISH is another for each client and moment. */
export interface PublishExtras {
  /** Seconds, when the message expires. */
  readonly expiryLeftS?: number | undefined
  /** Topic alias. */
  readonly alias?: number
  /** Instead of the delivery's: empty when the client knows the alias. */
  readonly topic?: ''
}

/** @param packetId 0 with QoS 0 */
export function encodePublish(
  delivery: Delivery,
  version: Version,
  packetId: number,
  isDuplicate: boolean,
  extras?: PublishExtras,
): Buffer {
  const { qos, retain, payload } = delivery
  const topic = extras?.topic ?? delivery.topic
  // Before MQTT 5 not even their length.
  const properties = version === 5 ? propertyBytes(delivery, extras) : -1
  let rest = stringBytes(topic) + payload.length
  if (qos > 0) rest += 2
  if (properties >= 0) rest += variableBytes(properties) + properties
  const bytes = Buffer.allocUnsafe(1 + variableBytes(rest) + rest)
  bytes[0] = 0x30 | (isDuplicate ? 0x08 : 0) | (qos << 1) | (retain ? 1 : 0)
  let at = writeString(bytes, writeVariable(bytes, 1, rest), topic)
  if (qos > 0) at = bytes.writeUInt16BE(packetId, at)
  if (properties >= 0) at = writeVariable(bytes, at, properties)
  if (properties > 0) at = writeProperties(bytes, at, delivery, extras)
  bytes.set(payload, at)
  return bytes
}

function propertyBytes({ contentType, properties, identifiers }: Delivery, extras?: PublishExtras): number {
  let bytes = contentType === undefined ? 0 : 1 + stringBytes(contentType)
  if (properties) bytes += properties.bytes.length
  for (const identifier of identifiers) bytes += 1 + variableBytes(identifier)
  if (extras?.expiryLeftS !== undefined) bytes += 5
  if (extras?.alias !== undefined) bytes += 3
  return bytes
}

function writeProperties(
  bytes: Buffer,
  start: number,
  { contentType, properties, identifiers }: Delivery,
  extras?: PublishExtras,
): number {
  let at = start
  if (contentType !== undefined) {
    at = writeString(bytes, bytes.writeUInt8(Property.contentType, at), contentType) // [MQTT-3.3.2-20]
  }
  if (properties) at += properties.bytes.copy(bytes, at)
  for (const identifier of identifiers) {
    at = writeVariable(bytes, bytes.writeUInt8(Property.subscriptionIdentifier, at), identifier)
  }
  if (extras?.expiryLeftS !== undefined) {
    at = bytes.writeUInt32BE(extras.expiryLeftS, bytes.writeUInt8(Property.messageExpiry, at)) // [MQTT-3.3.2-6]
  }
  if (extras?.alias !== undefined) {
    at = bytes.writeUInt16BE(extras.alias, bytes.writeUInt8(Property.topicAlias, at))
  }
  return at
}
