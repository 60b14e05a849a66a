import { malformed, ProtocolViolation, protocolError, Reason } from './codes.ts'
import { Cursor } from './cursor.ts'
import { isPadded } from './framer.ts'
import type { Frame } from './framer.ts'
import { peekVersion, readConnect } from './connect-packet.ts'
import type { Connect } from './connect-packet.ts'
import { checkDisconnect, readAck, Type } from './packets.ts'
import type { Version } from './packets.ts'

/** What the first packet of a connection came to. */
export type Opening = {
  /** The version that an answer is written in. */
  readonly version: Version
} & (
  | { readonly connect: Connect }
  | {
      readonly violation: ProtocolViolation
      /** Whether the protocol has an answer to this; if not, the connection just ends. */
      readonly hasAnswer: boolean
    }
)

/**
 * Reads the first packet of a connection.
 *
 * @throws {ProtocolViolation} it is no CONNECT, so there is nothing to answer [MQTT-3.1.0-1]
 */
export function readOpening(frame: Frame): Opening {
  if (frame.type !== Type.connect) throw protocolError('first packet is not CONNECT')
  const cursor = new Cursor(frame.bytes, frame.body, frame.end)
  const level = peekVersion(cursor)
  const version = level >= 5 ? 5 : level === 3 ? 3 : 4
  try {
    checkLength(frame, version)
    const connect = readConnect(cursor)
    checkRoomForConnack(connect)
    return { version, connect }
  } catch (violation) {
    if (!(violation instanceof ProtocolViolation)) throw violation
    // Only MQTT 5 has a word for a malformed CONNECT.
    return { version, violation, hasAnswer: version === 5 || violation.reason > Reason.protocolError }
  }
}

/** Of CONNACK with all that it may say, but for the identifier that a client is assigned (`handshake.ts`). */
const CONNACK_BYTES = 26
const ASSIGNED_IDENTIFIER_BYTES = 3 + 'auto-'.length + 36

/** [MQTT-3.1.2-24]; for the largest that Aedes may write. @throws {ProtocolViolation} */
function checkRoomForConnack({ identifier, maximumPacketSize }: Connect): void {
  const bytes = identifier === '' ? CONNACK_BYTES + ASSIGNED_IDENTIFIER_BYTES : CONNACK_BYTES
  if (bytes <= maximumPacketSize) return
  const text = 'no room for CONNACK'
  throw new ProtocolViolation(Reason.packetTooLarge, 'answer_too_large_for_receiver', text)
}

/** @throws {ProtocolViolation} the length of the packet is written in more bytes than it needs */
export function checkLength(frame: Frame, version: Version): void {
  if (version === 5 && isPadded(frame)) throw malformed('remaining length is not minimal')
}

/**
 * Checks a packet that Aedes handles, to its last byte; all but PUBLISH, of which there is more to know.
 *
 * @param mayOutlive whether CONNECT asked for a session that outlives the connection
 * @returns whether it is one
 * @throws {ProtocolViolation}
 */
export function checkForAedes(frame: Frame, version: Version, mayOutlive: boolean): boolean {
  const cursor = new Cursor(frame.bytes, frame.body, frame.end)
  switch (frame.type) {
    case Type.pubrel:
      readAck(cursor, version)
      return true
    case Type.pingreq:
      if (cursor.remaining > 0) throw malformed('PINGREQ with a body')
      return true
    case Type.disconnect:
      checkDisconnect(cursor, version, mayOutlive)
      return true
    default:
      return false
  }
}
