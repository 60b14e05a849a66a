export type UserProperty = readonly [name: string, value: string]

/**
 * What an MQTT 5 publisher says about its message beside the payload. On the bus it travels as headers, so that NATS clients
 * can read it, and answer a request. A message of which nothing is said has none of them.
 */
export interface MessageProperties {
  /** As declared, where the message's own `contentType` does not say it so. */
  readonly contentType?: string | undefined
  /** Payload Format Indicator: 1 is text in UTF-8. */
  readonly payloadFormat?: 0 | 1
  /** Seconds from arrival in which the message may be delivered. */
  readonly expiryS?: number
  readonly responseTopic?: string
  readonly correlationData?: Uint8Array
  readonly userProperties?: readonly UserProperty[]
  /** The session that published it, where one of its own subscriptions does not want such messages (No Local). */
  readonly session?: string | undefined
}

/** All properties of one message together, in bytes as MQTT counts them. */
export const MAX_PROPERTY_BYTES = 8 * 1024
export const MAX_USER_PROPERTIES = 128

const MQTT_CONTENT_TYPE = 'Sluice-Mqtt-Content-Type'
const PAYLOAD_FORMAT = 'Sluice-Payload-Format'
const EXPIRY = 'Sluice-Message-Expiry'
const RESPONSE_TOPIC = 'Sluice-Response-Topic'
const CORRELATION_DATA = 'Sluice-Correlation-Data'
const USER_PROPERTY = 'Sluice-User-Property'
const SESSION = 'Sluice-Session'

/** Whether the properties are more than a message may carry. */
export function isOverLimit(properties: MessageProperties): boolean {
  const count = properties.userProperties?.length ?? 0
  return count > MAX_USER_PROPERTIES || propertyBytes(properties) > MAX_PROPERTY_BYTES
}

/** What they hold, in bytes. */
export function propertyBytes({
  contentType,
  responseTopic,
  correlationData,
  userProperties,
}: MessageProperties): number {
  let bytes = (correlationData?.length ?? 0) + textBytes(contentType) + textBytes(responseTopic)
  for (const [name, value] of userProperties ?? []) bytes += textBytes(name) + textBytes(value)
  return bytes
}

const textBytes = (text: string | undefined): number => (text === undefined ? 0 : Buffer.byteLength(text))

/**
 * The lines of a header block. Text is percent-encoded, bytes are base64: whatever a device sends, what stands here is ASCII
 * without blanks and line breaks, and no name or value can end its line.
 */
export function encodePropertyHeaders(properties: MessageProperties): string {
  const { contentType, payloadFormat, expiryS, responseTopic, correlationData, userProperties, session } =
    properties
  let text = ''
  if (contentType !== undefined) text += `${MQTT_CONTENT_TYPE}: ${encodeURIComponent(contentType)}\r\n`
  if (payloadFormat !== undefined) text += `${PAYLOAD_FORMAT}: ${payloadFormat}\r\n`
  if (expiryS !== undefined) text += `${EXPIRY}: ${expiryS}\r\n`
  // `encodeURI` leaves the slashes of a topic readable, and is undone by the same function.
  if (responseTopic !== undefined) text += `${RESPONSE_TOPIC}: ${encodeURI(responseTopic)}\r\n`
  if (correlationData) {
    const { buffer, byteOffset, byteLength } = correlationData
    text += `${CORRELATION_DATA}: ${Buffer.from(buffer, byteOffset, byteLength).toString('base64')}\r\n`
  }
  for (const [name, value] of userProperties ?? []) {
    text += `${USER_PROPERTY}: ${encodeURIComponent(name)}=${encodeURIComponent(value)}\r\n`
  }
  if (session !== undefined) text += `${SESSION}: ${session}\r\n`
  return text
}

/** Properties while they are gathered, header by header. */
export type PropertyDraft = Mutable<Omit<MessageProperties, 'userProperties'>> & {
  userProperties?: UserProperty[]
}
type Mutable<T> = { -readonly [K in keyof T]: T[K] }

type Reader = (into: PropertyDraft, value: string) => void

/** Any NATS client may have written them: what cannot be a property of MQTT, or comes a second time, is left out. */
const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  [MQTT_CONTENT_TYPE, (into, value) => (into.contentType ??= decodeText(value))],
  [
    PAYLOAD_FORMAT,
    (into, value) => {
      if (value === '0' || value === '1') into.payloadFormat ??= value === '1' ? 1 : 0
    },
  ],
  [
    EXPIRY,
    (into, value) => {
      if (/^\d{1,10}$/.test(value) && Number(value) <= 0xffff_ffff) into.expiryS ??= Number(value)
    },
  ],
  [
    RESPONSE_TOPIC,
    (into, value) => {
      const topic = decodeText(value)
      if (topic !== undefined && isTopicName(topic)) into.responseTopic ??= topic
    },
  ],
  [CORRELATION_DATA, (into, value) => (into.correlationData ??= Buffer.from(value, 'base64'))],
  [
    USER_PROPERTY,
    (into, value) => {
      const at = value.indexOf('=')
      const name = decodeText(at === -1 ? value : value.slice(0, at))
      const text = at === -1 ? '' : decodeText(value.slice(at + 1))
      if (name !== undefined && text !== undefined) (into.userProperties ??= []).push([name, text])
    },
  ],
  [SESSION, (into, value) => (into.session ??= value)],
])

/**
 * Takes one header of a message.
 *
 * @param draft what the headers before it came to
 * @param name  of any header; most are no properties
 */
export function readPropertyHeader(
  draft: PropertyDraft | undefined,
  name: string,
  value: string,
): PropertyDraft | undefined {
  const read = READERS.get(name)
  if (!read) return draft
  const into = draft ?? {}
  read(into, value)
  return into
}

/** The inverse of {@link encodePropertyHeaders}. */
export function readPropertyHeaders(text: string): MessageProperties | undefined {
  let draft: PropertyDraft | undefined
  for (const line of text.split('\r\n')) {
    const at = line.indexOf(': ')
    if (at > 0) draft = readPropertyHeader(draft, line.slice(0, at), line.slice(at + 2))
  }
  return draft
}

function decodeText(value: string): string | undefined {
  try {
    const text = decodeURIComponent(value)
    return text.includes('\0') ? undefined : text
  } catch {
    return undefined
  }
}

/** Whether a message can be published on it: not empty, no wildcards [MQTT-3.3.2-14]. */
export function isTopicName(topic: string): boolean {
  return topic !== '' && !topic.includes('+') && !topic.includes('#')
}

/**
 * Seconds for which a message may still be delivered [MQTT-3.3.2-6]. An interval of 0 lasts through its first second, so that
 * those who are there get it.
 *
 * @returns `undefined` when they have passed [MQTT-3.3.2-5]
 */
export function expiryLeft(expiryS: number, receivedAtMs: number, nowMs: number): number | undefined {
  // Clocks of two machines may differ by more than the way took.
  const waitedS = Math.max(0, Math.floor((nowMs - receivedAtMs) / 1_000))
  if (waitedS >= Math.max(expiryS, 1)) return undefined
  return expiryS - waitedS
}
