import { isUtf8 } from 'node:buffer'
import { isOverLimit } from '../../platform/bus/properties.ts'
import type { MessageProperties } from '../../platform/bus/properties.ts'
import { malformed, ProtocolViolation, protocolError, Reason } from './codes.ts'
import type { Cursor } from './cursor.ts'
import { readMessageProperties } from './message-properties.ts'
import type { Qos, Version } from './packets.ts'
import { Property, readProperties } from './properties.ts'

export interface Will {
  readonly topic: string
  readonly qos: Qos
  readonly retain: boolean
  readonly payload: Buffer
  readonly properties: MessageProperties | undefined
  /** Seconds between the end of the connection and the will (MQTT 5 section 3.1.3.2.2). */
  readonly delayS: number
}

export interface Connect {
  readonly version: Version
  /** Clean Session before MQTT 5. */
  readonly cleanStart: boolean
  /** Seconds; 0 is never. */
  readonly keepAliveS: number
  /** As sent; may be empty. */
  readonly identifier: string
  readonly username: string | undefined
  readonly password: string | undefined
  readonly will: Will | undefined
  /** Seconds that the session is to outlive the connection, as asked for; `Infinity` is for ever. */
  readonly sessionExpiryS: number
  /** PUBLISH of QoS 1 and 2 that the client takes unacknowledged. */
  readonly receiveMaximum: number
  /** Bytes of the largest packet that the client takes. */
  readonly maximumPacketSize: number
  /** Topic aliases that the client takes. */
  readonly topicAliasMaximum: number
  /** Whether the client wants reason strings in acknowledgements. */
  readonly wantsReasons: boolean
}

/** What an MQTT 5 client may say of itself in CONNECT, and what holds when it does not. */
type ConnectProperties = Pick<
  Connect,
  'receiveMaximum' | 'maximumPacketSize' | 'topicAliasMaximum' | 'wantsReasons' | 'sessionExpiryS'
>

function unsupported(level: number): ProtocolViolation {
  return new ProtocolViolation(
    Reason.unsupportedProtocolVersion,
    'unsupported_version',
    `protocol level ${level}`,
  )
}

/**
 * The protocol level that a CONNECT names, without looking further: the form of the refusal depends on it.
 *
 * @returns 4 when it cannot be read
 */
export function peekVersion(cursor: Cursor): number {
  const { bytes, position, end } = cursor
  const at = position + 2 + (end - position >= 2 ? bytes.readUInt16BE(position) : 0)
  return at < end ? (bytes[at] ?? 4) : 4
}

/**
 * Reads a whole CONNECT, strictly.
 *
 * @throws {ProtocolViolation} with the reason code of the CONNACK that answers it
 */
export function readConnect(cursor: Cursor): Connect {
  const name = cursor.string()
  const version = cursor.byte()
  // [MQTT-3.1.2-1] [MQTT-3.1.2-2]. The level of a Mosquitto bridge (0x83, 0x84) is refused too: it then comes back without.
  const isKnown = name === 'MQTT' ? version === 4 || version === 5 : name === 'MQIsdp' && version === 3
  if (!isKnown) throw unsupported(version)
  const flags = cursor.byte()
  if (flags & 0x01) throw malformed('reserved flag of CONNECT is set') // [MQTT-3.1.2-3]
  const hasWill = (flags & 0x04) !== 0
  const willQos = (flags >> 3) & 0x03
  if (willQos === 3) throw malformed('will QoS 3') // [MQTT-3.1.2-12]
  if (!hasWill && flags & 0x38) throw malformed('flags of a will without a will') // [MQTT-3.1.2-11] [MQTT-3.1.2-13]
  const hasUsername = (flags & 0x80) !== 0
  const hasPassword = (flags & 0x40) !== 0
  // MQTT 3.1.1 [MQTT-3.1.2-22]; MQTT 5 took the rule back.
  if (version !== 5 && hasPassword && !hasUsername) throw malformed('password without user name')
  const keepAliveS = cursor.uint16()
  const cleanStart = (flags & 0x02) !== 0
  const properties = readConnectProperties(cursor, version, cleanStart)
  const identifier = cursor.string()
  const will = hasWill ? readWill(cursor, version as Version, flags) : undefined
  const username = hasUsername ? cursor.string() : undefined
  const password = hasPassword ? cursor.binary().toString() : undefined
  if (cursor.remaining > 0) throw malformed('CONNECT is longer than its fields')
  // MQTT 3.1.1 [MQTT-3.1.3-8]; MQTT 3.1 knows no empty identifier at all.
  if (identifier === '' && ((version === 4 && !cleanStart) || version === 3)) {
    throw new ProtocolViolation(
      Reason.identifierNotValid,
      'identifier_rejected',
      'empty identifier of a session to keep',
    )
  }
  return {
    version: version as Version,
    cleanStart,
    keepAliveS,
    identifier,
    username,
    password,
    will,
    ...properties,
  }
}

function readWill(cursor: Cursor, version: Version, flags: number): Will {
  let delayS = 0
  const properties =
    version === 5
      ? readMessageProperties(cursor, 'will', false, (identifier, value) => {
          if (identifier === Property.willDelayInterval) delayS = value
        })
      : undefined
  const topic = cursor.string()
  // A copy: the packet is gone long before the will is sent.
  const payload = Buffer.from(cursor.binary())
  checkWill(properties, payload)
  return {
    topic,
    qos: ((flags >> 3) & 0x03) as Qos,
    retain: (flags & 0x20) !== 0,
    payload,
    properties,
    delayS,
  }
}

/** A Session Expiry Interval that never ends (MQTT 5 section 3.1.2.11.2). */
const NEVER_EXPIRES = 0xffff_ffff

/** As each message is checked when it is published: then it would be too late to tell the client. */
function checkWill(properties: MessageProperties | undefined, payload: Buffer): void {
  if (!properties) return
  if (isOverLimit(properties)) {
    throw new ProtocolViolation(Reason.quotaExceeded, 'too_large', 'properties of the will are too large')
  }
  if (properties.payloadFormat === 1 && !isUtf8(payload)) {
    throw new ProtocolViolation(
      Reason.payloadFormatInvalid,
      'invalid_input',
      'payload of the will is not UTF-8',
    )
  }
}

function readConnectProperties(cursor: Cursor, version: number, cleanStart: boolean): ConnectProperties {
  const found = {
    receiveMaximum: 65_535,
    maximumPacketSize: Number.POSITIVE_INFINITY,
    topicAliasMaximum: 0,
    wantsReasons: true,
    // Before MQTT 5 a session ends with its connection or never; from it on it ends at once unless asked (section 3.1.2.11.2).
    sessionExpiryS: version === 5 || cleanStart ? 0 : Number.POSITIVE_INFINITY,
  }
  if (version !== 5) return found
  let asksForMethod = false
  let hasData = false
  readProperties(cursor, 'connect', (identifier, value) => {
    if (identifier === Property.receiveMaximum) found.receiveMaximum = value
    else if (identifier === Property.maximumPacketSize) found.maximumPacketSize = value
    else if (identifier === Property.topicAliasMaximum) found.topicAliasMaximum = value
    else if (identifier === Property.requestProblemInformation) found.wantsReasons = value === 1
    else if (identifier === Property.sessionExpiryInterval) {
      found.sessionExpiryS = value === NEVER_EXPIRES ? Number.POSITIVE_INFINITY : value
    } else if (identifier === Property.authenticationMethod) asksForMethod = true
    else if (identifier === Property.authenticationData) hasData = true
  })
  if (asksForMethod) {
    const text = 'enhanced authentication is not offered' // [MQTT-4.12.0-1]
    throw new ProtocolViolation(Reason.badAuthenticationMethod, 'bad_authentication_method', text)
  }
  if (hasData) throw protocolError('authentication data without a method')
  return found
}
