import { encodeCbor } from './cbor-codec.ts'
import { cborMapOfRecord } from './cbor-write.ts'
import { isPlainJson, writeJson } from './json-write.ts'
import type { ParseOptions } from './options.ts'
import type { SenmlRecord } from './record.ts'
import { validate } from './validate.ts'

/**
 * Writes a pack as JSON, `application/senml+json` (RFC 8428 section 5). Reading it gives the same records, number
 * for number; only bytes in fields of extensions come back as base64url.
 *
 * @throws {SenmlError} if the pack is not valid, or a field of an extension has no form in JSON: what is written can
 *   be read
 */
export function serializeJson(records: readonly SenmlRecord[], options: ParseOptions = {}): string {
  validate(records, options)
  // No short cut: each record is to be looked at, for the error.
  let isPlain = true
  for (let i = 0; i < records.length; i++) isPlain = isPlainJson(records[i] as SenmlRecord, i) && isPlain
  return isPlain ? JSON.stringify(records) : writeJson(records)
}

/**
 * Writes a pack as CBOR, `application/senml+cbor` (RFC 8428 section 6): each number in the shortest form that reads
 * back as the same double. Reading it gives the same records.
 *
 * @throws {SenmlError} if the pack is not valid, or a field of an extension has no form in CBOR
 */
export function serializeCbor(records: readonly SenmlRecord[], options: ParseOptions = {}): Uint8Array {
  validate(records, options)
  return encodeCbor(records.map(cborMapOfRecord))
}
