import { connackReason, returnCodeFor } from './codes.ts'
import type { ReasonCode } from './codes.ts'
import type { Version } from './packets.ts'
import { Property } from './properties.ts'
import { variableBytes, writeBinary, writeVariable } from './write.ts'

/** Packets that we write ourselves; Aedes writes the others. All return whole packets. */

/** What is told to MQTT 5 clients in words, if there is room for it. */
export interface Reasoned {
  readonly text: string | undefined
  /** Bytes of the largest packet that the client takes: more than that the words are left out [MQTT-3.4.2-2]. */
  readonly maximumPacketSize: number
}

const MAX_REASON_CHARS = 256

/** @param isAlone nothing follows the properties, so that none need not even be counted */
function encodeReasoned(
  first: number,
  head: readonly number[],
  codes: readonly number[],
  { text, maximumPacketSize }: Reasoned,
  isAlone = codes.length === 0,
): Buffer {
  const withText = text === undefined ? undefined : encodeWithText(first, head, codes, text)
  if (withText && withText.length <= maximumPacketSize) return withText
  return encodePacket(first, isAlone ? head : [...head, 0, ...codes])
}

function encodeWithText(
  first: number,
  head: readonly number[],
  codes: readonly number[],
  text: string,
): Buffer {
  const reason = Buffer.from(text.slice(0, MAX_REASON_CHARS).replace(/\p{Cc}/gu, ' '))
  const block = Buffer.allocUnsafe(3 + reason.length)
  writeBinary(block, block.writeUInt8(Property.reasonString, 0), reason)
  const length = Buffer.allocUnsafe(variableBytes(block.length))
  writeVariable(length, 0, block.length)
  return encodePacket(first, [...head, ...length, ...block, ...codes])
}

function encodePacket(first: number, body: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(1 + variableBytes(body.length) + body.length)
  bytes[0] = first
  bytes.set(body, writeVariable(bytes, 1, body.length))
  return bytes
}

export function encodeConnackRefusal(version: number, reason: ReasonCode, words: Reasoned): Buffer {
  return version >= 5
    ? encodeReasoned(0x20, [0, connackReason(reason)], [], words, false)
    : encodePacket(0x20, [0, returnCodeFor(reason)])
}

/** MQTT 5 only; earlier versions know no DISCONNECT of the server. */
export function encodeDisconnect(reason: ReasonCode, words: Reasoned): Buffer {
  return encodeReasoned(0xe0, [reason], [], words)
}

const uint16 = (value: number): [number, number] => [value >> 8, value & 0xff]

/** PUBACK of QoS 1, PUBREC of QoS 2, with what went wrong. MQTT 5 only. */
export function encodePublishRefusal(
  qos: 1 | 2,
  packetId: number,
  reason: ReasonCode,
  words: Reasoned,
): Buffer {
  return encodeReasoned(qos === 1 ? 0x40 : 0x50, [...uint16(packetId), reason], [], words)
}

/** Success; a refusal is {@link encodePublishRefusal}. */
export function encodePuback(packetId: number): Buffer {
  // The form without a reason code says so (MQTT 5 section 3.4.2.1); older clients know no other.
  return Buffer.from([0x40, 2, packetId >> 8, packetId & 0xff])
}

export function encodePubrel(packetId: number): Buffer {
  // Success is the reason when none is given (MQTT 5 section 3.6.2.1), and the only form before MQTT 5.
  return Buffer.from([0x62, 2, packetId >> 8, packetId & 0xff])
}

/** @param codes one a filter: granted QoS or reason code; before MQTT 5 every failure is 0x80 [MQTT-3.9.3-2] */
export function encodeSuback(
  version: Version,
  packetId: number,
  codes: readonly number[],
  words: Reasoned,
): Buffer {
  if (version === 5) return encodeReasoned(0x90, uint16(packetId), codes, words)
  return encodePacket(0x90, [...uint16(packetId), ...codes.map((code) => (code < 0x80 ? code : 0x80))])
}

/** @param codes one a filter; not sent before MQTT 5 */
export function encodeUnsuback(version: Version, packetId: number, codes: readonly number[]): Buffer {
  return encodePacket(0xb0, version === 5 ? [...uint16(packetId), 0, ...codes] : uint16(packetId))
}
