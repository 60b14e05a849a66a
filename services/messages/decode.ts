import type { Message } from '../../platform/bus/message.ts'
import { SenmlError } from '../../senml/errors.ts'
import { looksLikeSenml } from '../../senml/looks-like.ts'
import { fromJsonValue, parseCbor, parseJson } from '../../senml/parse.ts'
import type { SenmlRecord } from '../../senml/record.ts'
import { resolve } from '../../senml/resolve.ts'
import { findUnstorable } from './storable.ts'
import type { Decoded, JsonMessage, Reading } from './types.ts'

/** Devices in the field send versions that RFC 8428 does not know; that all of a pack agree is still asked for (contract 15.2). */
export const SENML_OPTIONS = { maxVersion: Infinity } as const

export const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Reads a message off the stream into what is stored of it. Declared SenML must be SenML; other JSON is SenML when it looks
 * like it, else objects, and arrays of objects, are kept as they are. Never throws.
 */
export function decodeMessage(message: Message, streamSeq: number): Decoded {
  // Ours are always ids; a foreign NATS client can publish on anything.
  if (!UUID.test(message.domainId) || !UUID.test(message.channelId)) {
    return { kind: 'broken', reason: 'invalid_subject: the subject names no domain and channel by their ids' }
  }
  const reason = findUnstorable(message.levels)
  if (reason !== undefined) return { kind: 'broken', reason }
  try {
    switch (mediaType(message.contentType)) {
      case 'application/senml+json':
        return toReadings(parseJson(message.payload, SENML_OPTIONS), message, streamSeq)
      case 'application/senml+cbor':
        return toReadings(parseCbor(message.payload, SENML_OPTIONS), message, streamSeq)
      case 'application/json':
        return decodeJson(message, streamSeq)
      // MQTT 3.1.1 declares nothing, and the tools that speak WebSocket and MQTT 5 often say text.
      case 'text/plain':
      case '':
        return beginsLikeJson(message.payload) ? decodeJson(message, streamSeq) : { kind: 'opaque' }
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

function decodeJson(message: Message, streamSeq: number): Decoded {
  let value: unknown
  try {
    value = JSON.parse(utf8.decode(message.payload))
  } catch {
    // A declaration or a bracket says that it was meant as JSON; then somebody wants to know that it was lost.
    return { kind: 'broken', reason: 'invalid_json: the payload is not JSON in UTF-8' }
  }
  const reason = findUnstorable(value)
  if (reason !== undefined) return { kind: 'broken', reason }
  if (looksLikeSenml(value)) return toReadings(fromJsonValue(value, SENML_OPTIONS), message, streamSeq)
  const objects = Array.isArray(value) ? value : [value]
  return objects.length > 0 && objects.every(isObject)
    ? toJson(objects, message, streamSeq)
    : { kind: 'opaque' }
}

function beginsLikeJson(payload: Uint8Array): boolean {
  const first = payload.find((byte) => byte > 0x20)
  return first === 0x5b || first === 0x7b
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function toReadings(records: SenmlRecord[], message: Message, streamSeq: number): Decoded {
  for (const [index, record] of records.entries()) {
    // Names and units are checked by SenML itself, and text of either encoding has whole pairs; U+0000 it allows.
    const reason = findUnstorable([record.vs, record.u])
    if (reason !== undefined) return { kind: 'broken', reason: `record ${index}: ${reason}` }
  }
  const common = origin(message, streamSeq)
  const readings = resolve(records, Number(message.receivedAtNs) / 1e9).map((record, index): Reading => ({
    ...common,
    record: index,
    name: record.n,
    unit: record.u ?? null,
    time: record.t,
    updateTime: record.ut ?? null,
    value: record.v ?? null,
    stringValue: record.vs ?? null,
    boolValue: record.vb ?? null,
    dataValue: record.vd ?? null,
    sum: record.s ?? null,
  }))
  return { kind: 'readings', readings }
}

function toJson(objects: Record<string, unknown>[], message: Message, streamSeq: number): Decoded {
  const common = origin(message, streamSeq)
  const format = message.levels.at(-1) ?? 'json'
  const messages = objects.map((payload, record): JsonMessage => ({
    ...common,
    record,
    format,
    createdNs: message.receivedAtNs,
    payload,
  }))
  return { kind: 'json', messages }
}

function origin(message: Message, streamSeq: number) {
  return {
    streamSeq,
    domainId: message.domainId,
    channelId: message.channelId,
    publisher: UUID.test(message.publisher) ? message.publisher : null,
    subtopic: message.levels.join('/'),
    protocol: message.protocol,
  }
}
