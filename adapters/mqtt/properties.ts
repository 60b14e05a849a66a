import { malformed, protocolError } from './codes.ts'
import type { Cursor } from './cursor.ts'

/** Which of the blocks of properties of MQTT 5 this is; the table of section 2.2.2.2 says what may stand in it. */
export type PropertyBlock =
  'connect' | 'will' | 'publish' | 'ack' | 'subscribe' | 'unsubscribe' | 'disconnect'

type Kind = 'flag' | 'uint16' | 'uint32' | 'variable' | 'string' | 'binary' | 'pair'

interface Property {
  readonly kind: Kind
  readonly blocks: readonly PropertyBlock[]
  /** Zero is a protocol error. */
  readonly nonZero?: boolean
}

const EVERY: readonly PropertyBlock[] = [
  'connect',
  'will',
  'publish',
  'ack',
  'subscribe',
  'unsubscribe',
  'disconnect',
]

/** By identifier; those that a client may send. */
const PROPERTIES: ReadonlyMap<number, Property> = new Map<number, Property>([
  [0x01, { kind: 'flag', blocks: ['publish', 'will'] }], // Payload Format Indicator
  [0x02, { kind: 'uint32', blocks: ['publish', 'will'] }], // Message Expiry Interval
  [0x03, { kind: 'string', blocks: ['publish', 'will'] }], // Content Type
  [0x08, { kind: 'string', blocks: ['publish', 'will'] }], // Response Topic
  [0x09, { kind: 'binary', blocks: ['publish', 'will'] }], // Correlation Data
  [0x0b, { kind: 'variable', blocks: ['subscribe'], nonZero: true }], // Subscription Identifier
  [0x11, { kind: 'uint32', blocks: ['connect', 'disconnect'] }], // Session Expiry Interval
  [0x15, { kind: 'string', blocks: ['connect'] }], // Authentication Method
  [0x16, { kind: 'binary', blocks: ['connect'] }], // Authentication Data
  [0x17, { kind: 'flag', blocks: ['connect'] }], // Request Problem Information
  [0x18, { kind: 'uint32', blocks: ['will'] }], // Will Delay Interval
  [0x19, { kind: 'flag', blocks: ['connect'] }], // Request Response Information
  [0x1f, { kind: 'string', blocks: ['ack', 'disconnect'] }], // Reason String
  [0x21, { kind: 'uint16', blocks: ['connect'], nonZero: true }], // Receive Maximum
  [0x22, { kind: 'uint16', blocks: ['connect'] }], // Topic Alias Maximum
  [0x23, { kind: 'uint16', blocks: ['publish'], nonZero: true }], // Topic Alias [MQTT-3.3.2-8]
  [0x26, { kind: 'pair', blocks: EVERY }], // User Property
  [0x27, { kind: 'uint32', blocks: ['connect'], nonZero: true }], // Maximum Packet Size
])

export const Property = {
  payloadFormat: 0x01,
  messageExpiry: 0x02,
  contentType: 0x03,
  responseTopic: 0x08,
  correlationData: 0x09,
  subscriptionIdentifier: 0x0b,
  sessionExpiryInterval: 0x11,
  authenticationMethod: 0x15,
  authenticationData: 0x16,
  willDelayInterval: 0x18,
  requestProblemInformation: 0x17,
  reasonString: 0x1f,
  receiveMaximum: 0x21,
  topicAliasMaximum: 0x22,
  topicAlias: 0x23,
  userProperty: 0x26,
  maximumPacketSize: 0x27,
} as const

/**
 * Reads one block of properties to its end: lengths, types, values, what may stand where, what may stand once.
 *
 * @param onValue is told identifiers, of numbers the values, and where the value begins; it ends at the cursor
 * @throws {ProtocolViolation}
 */
export function readProperties(
  cursor: Cursor,
  block: PropertyBlock,
  onValue?: (identifier: number, value: number, start: number) => void,
): void {
  const length = cursor.variable()
  if (length === 0) return
  if (length > cursor.remaining) throw malformed('properties are longer than the packet')
  const end = cursor.position + length
  // One bit a property: the identifiers in use end at 0x2A.
  let seenLow = 0
  let seenHigh = 0
  while (cursor.position < end) {
    const identifier = cursor.variable()
    const property = PROPERTIES.get(identifier)
    if (!property || !property.blocks.includes(block)) {
      throw malformed(`property ${identifier} does not belong here`)
    }
    if (property.kind !== 'pair') {
      const bit = 1 << (identifier & 31)
      if ((identifier < 32 ? seenLow : seenHigh) & bit) throw protocolError(`property ${identifier} twice`)
      if (identifier < 32) seenLow |= bit
      else seenHigh |= bit
    }
    const start = cursor.position
    const value = readValue(cursor, property.kind)
    if (property.nonZero === true && value === 0) throw protocolError(`property ${identifier} is 0`)
    onValue?.(identifier, value, start)
  }
  if (cursor.position !== end) throw malformed('a property runs past the properties')
}

function readValue(cursor: Cursor, kind: Kind): number {
  switch (kind) {
    case 'flag': {
      const value = cursor.byte()
      if (value > 1) throw protocolError('a property that is a flag is neither 0 nor 1')
      return value
    }
    case 'uint16':
      return cursor.uint16()
    case 'uint32':
      return cursor.uint32()
    case 'variable':
      return cursor.variable()
    case 'string':
      return cursor.skipString()
    case 'binary':
      cursor.skipBinary()
      return 0
    case 'pair':
      cursor.skipString()
      cursor.skipString()
      return 0
  }
}
