import { encodeCbor } from './cbor-codec.ts'
import { readCborPack } from './cbor-read.ts'
import { cborMapOfRecord } from './cbor-write.ts'
import { fetchPackOf, patchPackOf, type FetchRecord, type PatchRecord } from './etch.ts'
import { isPlainJson, writeJson } from './json-write.ts'
import type { ParseOptions } from './options.ts'
import { checkSize, readJson } from './parse.ts'
import type { SenmlRecord } from './record.ts'

/**
 * Reads and checks a Fetch Pack in JSON, `application/senml-etch+json` (RFC 8790 section 3.1).
 *
 * @throws {SenmlError} as `fetchPackOf`, and if the input is not JSON
 */
export function parseFetchJson(input: Uint8Array | string, options: ParseOptions = {}): FetchRecord[] {
  return fetchPackOf(readJson(input, options), options)
}

/**
 * Reads and checks a Fetch Pack in CBOR, `application/senml-etch+cbor`.
 *
 * @throws {SenmlError} as `fetchPackOf`, and if the input is not CBOR
 */
export function parseFetchCbor(input: Uint8Array, options: ParseOptions = {}): FetchRecord[] {
  checkSize(input.byteLength, options)
  return fetchPackOf(readCborPack(input, options), options)
}

/**
 * Reads and checks a Patch Pack in JSON, `application/senml-etch+json` (RFC 8790 section 3.2).
 *
 * @throws {SenmlError} as `patchPackOf`, and if the input is not JSON
 */
export function parsePatchJson(input: Uint8Array | string, options: ParseOptions = {}): PatchRecord[] {
  return patchPackOf(readJson(input, options), options)
}

/**
 * Reads and checks a Patch Pack in CBOR, `application/senml-etch+cbor`.
 *
 * @throws {SenmlError} as `patchPackOf`, and if the input is not CBOR
 */
export function parsePatchCbor(input: Uint8Array, options: ParseOptions = {}): PatchRecord[] {
  checkSize(input.byteLength, options)
  return patchPackOf(readCborPack(input, options), options)
}

/**
 * Writes a Fetch or a Patch Pack as JSON.
 *
 * @param pack checked by `fetchPackOf` or `patchPackOf`
 * @throws {SenmlError} where a field of an extension has no form in JSON
 */
export function serializeEtchJson(pack: readonly (FetchRecord | PatchRecord)[]): string {
  pack.forEach((record, index) => isPlainJson(record as SenmlRecord, index))
  return writeJson(pack)
}

/**
 * Writes a Fetch or a Patch Pack as CBOR.
 *
 * @param pack checked by `fetchPackOf` or `patchPackOf`
 * @throws {SenmlError} where a field of an extension has no form in CBOR
 */
export function serializeEtchCbor(pack: readonly (FetchRecord | PatchRecord)[]): Uint8Array {
  return encodeCbor(pack.map((record, index) => cborMapOfRecord(record as SenmlRecord, index)))
}
