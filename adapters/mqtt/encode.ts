import type { Share } from './backlog.ts'
import type { Qos, Version } from './packets.ts'
import { Property } from './properties.ts'
import type { Settlement } from './settlement.ts'
import { stringBytes, variableBytes, writeString, writeVariable } from './write.ts'

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
  /** Of a retained message that SUBSCRIBE has brought. */
  readonly retained?: RetainedSource | undefined
  /** Of a message that a group shares. */
  readonly settlement?: Settlement | undefined
}

/** A place in the stream, as a session that reads there sees it. */
export interface Source {
  readonly bookmark: Bookmark
  readonly seq: number
}

/** A place in the stream of retained messages. */
export interface RetainedSource {
  readonly seq: number
  /** Of the subscription that it is for, as written; of one that is in flight nobody asks. */
  readonly filter?: string
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
