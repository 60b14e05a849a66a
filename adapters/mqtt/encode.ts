import type { Share } from './backlog.ts'
import { Reason, returnCodeFor } from './codes.ts'
import type { ReasonCode } from './codes.ts'
import type { Qos, Version } from './packets.ts'

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

/** A message on its way to one client. The payload is shared with others and never changed. */
export interface Delivery {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: Qos
  readonly retain: boolean
  readonly contentType: string
  /** Subscription Identifiers of all subscriptions that match [MQTT-3.3.4-3] [MQTT-3.3.4-4]. */
  readonly identifiers: readonly number[]
  /** The same for all deliveries of one message. */
  readonly share: Share
}

/** Bytes of a PUBLISH on the wire, without building it. */
export function publishBytes(delivery: Delivery, version: Version): number {
  const rest = restBytes(delivery, version)
  return 1 + variableBytes(rest) + rest
}

function propertyBytes(delivery: Delivery): number {
  let bytes = delivery.contentType === '' ? 0 : 3 + Buffer.byteLength(delivery.contentType)
  for (const identifier of delivery.identifiers) bytes += 1 + variableBytes(identifier)
  return bytes
}

function restBytes(delivery: Delivery, version: Version): number {
  let bytes = 2 + Buffer.byteLength(delivery.topic) + delivery.payload.length
  if (delivery.qos > 0) bytes += 2
  if (version === 5) {
    const properties = propertyBytes(delivery)
    bytes += variableBytes(properties) + properties
  }
  return bytes
}

/** @param packetId 0 with QoS 0 */
export function encodePublish(
  delivery: Delivery,
  version: Version,
  packetId: number,
  isDuplicate: boolean,
): Buffer {
  const rest = restBytes(delivery, version)
  const bytes = Buffer.allocUnsafe(1 + variableBytes(rest) + rest)
  bytes[0] = 0x30 | (isDuplicate ? 0x08 : 0) | (delivery.qos << 1) | (delivery.retain ? 1 : 0)
  let at = writeString(bytes, writeVariable(bytes, 1, rest), delivery.topic)
  if (delivery.qos > 0) at = bytes.writeUInt16BE(packetId, at)
  if (version === 5) {
    at = writeVariable(bytes, at, propertyBytes(delivery))
    if (delivery.contentType !== '') at = writeString(bytes, bytes.writeUInt8(0x03, at), delivery.contentType)
    for (const identifier of delivery.identifiers) {
      at = writeVariable(bytes, bytes.writeUInt8(0x0b, at), identifier)
    }
  }
  bytes.set(delivery.payload, at)
  return bytes
}

function writeString(bytes: Buffer, at: number, text: string): number {
  const length = bytes.write(text, at + 2)
  bytes.writeUInt16BE(length, at)
  return at + 2 + length
}

function variableBytes(value: number): number {
  return value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : 4
}

function writeVariable(bytes: Buffer, at: number, value: number): number {
  let position = at
  let rest = value
  while (rest >= 128) {
    bytes[position] = (rest & 0x7f) | 0x80
    position += 1
    rest >>>= 7
  }
  bytes[position] = rest
  return position + 1
}
