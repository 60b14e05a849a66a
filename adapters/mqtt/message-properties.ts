import type { Message } from '../../platform/bus/message.ts'
import { isTopicName } from '../../platform/bus/properties.ts'
import type { MessageProperties, PropertyDraft } from '../../platform/bus/properties.ts'
import { SENML_TYPES } from '../content-type.ts'
import { protocolError } from './codes.ts'
import { Cursor } from './cursor.ts'
import { Property, readProperties } from './properties.ts'
import { stringBytes, writeBinary, writeString } from './write.ts'

/**
 * Reads the properties of a PUBLISH or of a will. mqtt-packet's own reading keeps user properties in an object, which forgets
 * the order of those with different names [MQTT-3.3.2-18].
 *
 * @param needsAlias the topic is empty, so there must be an alias for it (section 3.3.2.1)
 * @param onOther    told of properties that are none of the message
 * @returns `undefined` for an empty block, which most are; an object without properties for one with an alias alone
 * @throws {ProtocolViolation}
 */
export function readMessageProperties(
  cursor: Cursor,
  block: 'publish' | 'will',
  needsAlias = false,
  onOther?: (identifier: number, value: number) => void,
): MessageProperties | undefined {
  if (cursor.isAtZero) {
    cursor.skip(1)
    if (needsAlias) throw protocolError('empty topic') // [MQTT-4.7.3-1]
    return undefined
  }
  return readSome(cursor, block, needsAlias, onOther)
}

/** A function of its own: its closure would cost every PUBLISH without properties, too. */
function readSome(
  cursor: Cursor,
  block: 'publish' | 'will',
  needsAlias: boolean,
  onOther?: (identifier: number, value: number) => void,
): MessageProperties {
  const draft: PropertyDraft = {}
  let hasAlias = false
  readProperties(cursor, block, (identifier, value, start) => {
    const field = (): Cursor => new Cursor(cursor.bytes, start, cursor.position)
    switch (identifier) {
      case Property.payloadFormat:
        draft.payloadFormat = value === 1 ? 1 : 0
        break
      case Property.messageExpiry:
        draft.expiryS = value
        break
      case Property.contentType:
        draft.contentType = field().string()
        break
      case Property.responseTopic:
        draft.responseTopic = readResponseTopic(field())
        break
      case Property.correlationData:
        // A copy: the packet's bytes are a view into all that one read of the socket brought.
        draft.correlationData = Buffer.from(field().binary())
        break
      case Property.userProperty: {
        const pair = field()
        draft.userProperties ??= []
        draft.userProperties.push([pair.string(), pair.string()])
        break
      }
      case Property.topicAlias:
        hasAlias = true
        break
      default:
        // The will's delay, which is for us alone and no property of the message [MQTT-3.1.3-9].
        onOther?.(identifier, value)
    }
  })
  if (needsAlias && !hasAlias) throw protocolError('empty topic')
  return draft
}

function readResponseTopic(cursor: Cursor): string {
  const topic = cursor.string()
  if (!isTopicName(topic)) throw protocolError('response topic is empty or has a wildcard') // [MQTT-3.3.2-14]
  return topic
}

// Anything else would not survive as a header of the bus.
const PRINTABLE = /^[\x20-\x7e]{1,255}$/

/** What a publisher says about its message, as the bus has it. */
export type Facets = Pick<Message, 'contentType' | 'properties'>

const NO_FACETS: Facets = { contentType: '', properties: undefined }

/** @param session names the publisher's session, where one of its subscriptions wants none of its own messages */
export function facetsOf(given: MessageProperties | undefined, session?: string): Facets {
  if (!given) return session === undefined ? NO_FACETS : { contentType: '', properties: { session } }
  const contentType = contentTypeOf(given)
  const { contentType: declared, ...others } = given
  // What the message itself says already is not said again; an empty one is to be told from none [MQTT-3.3.2-20].
  const isSaid = declared === undefined || (declared !== '' && declared === contentType)
  const properties: MessageProperties = isSaid ? others : given
  if (session !== undefined) return { contentType, properties: { ...properties, session } }
  return { contentType, properties: Object.keys(properties).length === 0 ? undefined : properties }
}

/** Empty for none, and for one that no header holds. */
function contentTypeOf({ contentType: type }: MessageProperties): string {
  if (type === undefined || !PRINTABLE.test(type)) return ''
  // As it stands, unless it is one of those that mean something to us.
  const name = type.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  return SENML_TYPES.has(name) ? name : type
}

/** What all MQTT 5 subscribers of a message get, as it stands in the packet; all but the expiry, which runs. */
export function encodeMessageProperties(properties: MessageProperties): Buffer {
  const { payloadFormat, responseTopic, correlationData, userProperties = [] } = properties
  let size = payloadFormat === undefined ? 0 : 2
  if (responseTopic !== undefined) size += 1 + stringBytes(responseTopic)
  if (correlationData) size += 3 + correlationData.length
  for (const [name, value] of userProperties) size += 1 + stringBytes(name) + stringBytes(value)
  const bytes = Buffer.allocUnsafe(size)
  let at = 0
  if (payloadFormat !== undefined) {
    at = bytes.writeUInt8(payloadFormat, bytes.writeUInt8(Property.payloadFormat, at)) // [MQTT-3.3.2-4]
  }
  if (responseTopic !== undefined) {
    at = writeString(bytes, bytes.writeUInt8(Property.responseTopic, at), responseTopic) // [MQTT-3.3.2-15]
  }
  if (correlationData) {
    at = writeBinary(bytes, bytes.writeUInt8(Property.correlationData, at), correlationData) // [MQTT-3.3.2-16]
  }
  for (const [name, value] of userProperties) {
    at = writeString(bytes, bytes.writeUInt8(Property.userProperty, at), name) // [MQTT-3.3.2-17] [MQTT-3.3.2-18]
    at = writeString(bytes, at, value)
  }
  return bytes
}
