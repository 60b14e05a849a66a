import type { Message } from '../../platform/bus/message.ts'
import { isCanonicalUuid } from '../../platform/identifiers.ts'
import { SenmlError } from '../../senml/errors.ts'
import { looksLikeSenml } from '../../senml/looks-like.ts'
import { fromJsonValue, parseCbor, parseJson } from '../../senml/parse.ts'
import type { ResolvedRecord, SenmlRecord } from '../../senml/record.ts'
import { resolve } from '../../senml/resolve.ts'
import { mayHaveLongNumbers, parseExact } from './json.ts'
import { MAX_RECORDS } from './place.ts'
import { findUnstorable, findUnstorableText } from './storable.ts'
import type { Content } from './types.ts'

/** Devices in the field send versions that RFC 8428 does not know; that all of a pack agree is still asked for (contract 15.2). */
export const SENML_OPTIONS = { maxVersion: Infinity } as const

/** An index takes no more; names are ASCII. */
const MAX_NAME = 2_048
/** RFC 8428's own have at most ten characters; a series keeps its unit, and readers keep their series. */
const MAX_UNIT = 256
/** In an index too: a JSON message's format, which may be of characters that take three bytes each. */
const MAX_FORMAT = 512

/** Objects of one message: each is a row, a hundred times as large as the empty object that asks for it. */
const MAX_OBJECTS = 1_000

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Reads the payload of a message into what is stored of it. Declared SenML must be SenML; other JSON is SenML when it looks
 * like it, else objects, and arrays of objects, are kept as they are. Never throws.
 */
export function readPayload(message: Message): Content {
  // Ours are always ids; a foreign NATS client can publish on anything.
  if (!isCanonicalUuid(message.domainId) || !isCanonicalUuid(message.channelId)) {
    return { kind: 'broken', reason: 'invalid_subject: the subject names no domain and channel by their ids' }
  }
  const reason = findUnstorable(message.levels)
  if (reason !== undefined) return { kind: 'broken', reason }
  try {
    switch (mediaType(message.contentType)) {
      case 'application/senml+json':
        return toReadings(parseJson(message.payload, SENML_OPTIONS), message)
      case 'application/senml+cbor':
        return toReadings(parseCbor(message.payload, SENML_OPTIONS), message)
      case 'application/json':
        return decodeJson(message)
      // MQTT 3.1.1 declares nothing, and the tools that speak WebSocket and MQTT 5 often say text.
      case 'text/plain':
      case '':
        return beginsLikeJson(message.payload) ? decodeJson(message) : { kind: 'opaque' }
      default:
        return { kind: 'opaque' }
    }
  } catch (error) {
    if (error instanceof SenmlError) return { kind: 'broken', reason: `${error.code}: ${error.message}` }
    throw error
  }
}

function mediaType(contentType: string): string {
  const end = contentType.indexOf(';')
  return (end === -1 ? contentType : contentType.slice(0, end)).trim().toLowerCase()
}

function decodeJson(message: Message): Content {
  let text: string
  let value: unknown
  try {
    text = utf8.decode(message.payload)
    value = JSON.parse(text)
  } catch {
    // A declaration or a bracket says that it was meant as JSON; then somebody wants to know that it was lost.
    return { kind: 'broken', reason: 'invalid_json: the payload is not JSON in UTF-8' }
  }
  if (looksLikeSenml(value)) return toReadings(fromJsonValue(value, SENML_OPTIONS), message)
  // Only now: in SenML a number is a double.
  if (mayHaveLongNumbers(text)) value = parseExact(text)
  const reason = findUnstorable(value)
  if (reason !== undefined) return { kind: 'broken', reason }
  const objects = Array.isArray(value) ? value : [value]
  if (objects.length === 0 || !objects.every(isObject)) return { kind: 'opaque' }
  if (objects.length > MAX_OBJECTS)
    return { kind: 'broken', reason: `too_large: more than ${MAX_OBJECTS} objects` }
  if (formatOf(message).length > MAX_FORMAT)
    return { kind: 'broken', reason: `invalid_format: more than ${MAX_FORMAT} characters in the last level` }
  return { kind: 'json', objects }
}

function beginsLikeJson(payload: Uint8Array): boolean {
  const first = payload.find((byte) => byte > 0x20)
  return first === 0x5b || first === 0x7b
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function toReadings(pack: SenmlRecord[], message: Message): Content {
  const records = resolve(pack, Number(message.receivedAtNs) / 1e9)
  if (records.length > MAX_RECORDS)
    return { kind: 'broken', reason: `too_large: more than ${MAX_RECORDS} records` }
  for (let index = 0; index < records.length; index++) {
    const reason = unstorable(records[index] as ResolvedRecord)
    if (reason !== undefined) return { kind: 'broken', reason: `record ${index}: ${reason}` }
  }
  return { kind: 'readings', records }
}

/** What SenML allows and the tables do not hold. */
function unstorable({ n, u, vs }: ResolvedRecord): string | undefined {
  if (n.length > MAX_NAME) return `invalid_name: more than ${MAX_NAME} characters`
  if (u !== undefined && u.length > MAX_UNIT) return `invalid_unit: more than ${MAX_UNIT} characters`
  return (
    (u === undefined ? undefined : findUnstorableText(u)) ??
    (vs === undefined ? undefined : findUnstorableText(vs))
  )
}

/** What the reader is asked for JSON messages by: the last level of the subtopic; `json` when there is none. */
export const formatOf = ({ levels }: Message) => levels.at(-1) ?? 'json'
