import { readCborPack } from './cbor-read.ts'
import { SenmlError } from './errors.ts'
import { DEFAULT_MAX_BYTES, type ParseOptions } from './options.ts'
import type { SenmlRecord } from './record.ts'
import { utf8Length } from './text.ts'
import { checkRecords, toRecords } from './validate.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Reads and checks a pack in JSON, `application/senml+json` (RFC 8428 section 5).
 *
 * @param input UTF-8, or text already decoded
 * @returns the records as sent, base fields where they stood and fields of extensions kept
 * @throws {SenmlError} what is wrong first, with the record and the field
 */
export function parseJson(input: Uint8Array | string, options: ParseOptions = {}): SenmlRecord[] {
  return fromJsonValue(readJson(input, options), options)
}

/**
 * Checks a pack that a JSON parser has read already.
 *
 * @param value what `JSON.parse` made of it; the records returned are its own objects, not copies
 * @throws {SenmlError} what is wrong first, with the record and the field
 */
export function fromJsonValue(value: unknown, options: ParseOptions = {}): SenmlRecord[] {
  return checkRecords(toRecords(value, options), options)
}

/**
 * Reads and checks a pack in CBOR, `application/senml+cbor` (RFC 8428 section 6). `cbor-read.ts` says what becomes
 * of the numbers and tags that doubles do not have.
 *
 * @returns the same records that the pack in JSON would give: text labels, `vd` as base64url
 * @throws {SenmlError} what is wrong first, with the record and the field
 */
export function parseCbor(input: Uint8Array, options: ParseOptions = {}): SenmlRecord[] {
  checkSize(input.byteLength, options)
  return checkRecords(readCborPack(input, options), options)
}

/** What the JSON says, whatever it is. */
export function readJson(input: Uint8Array | string, options: ParseOptions): unknown {
  checkSize(typeof input === 'string' ? sizeOf(input, options) : input.byteLength, options)
  try {
    return JSON.parse(typeof input === 'string' ? input : utf8.decode(input))
  } catch (cause) {
    throw new SenmlError('invalid_json', 'the pack is not JSON in UTF-8', { cause })
  }
}

/** Bytes of the text, counted only where its length leaves room for doubt. */
function sizeOf(text: string, options: ParseOptions): number {
  return text.length * 3 > (options.maxBytes ?? DEFAULT_MAX_BYTES) ? utf8Length(text) : text.length
}

/** Holds the bytes of a pack against the limit. */
export function checkSize(bytes: number, options: ParseOptions): void {
  const limit = options.maxBytes ?? DEFAULT_MAX_BYTES
  if (bytes > limit) throw new SenmlError('too_large', `larger than ${limit} bytes`)
}
