import { compact } from './compact.ts'
import { SenmlError } from './errors.ts'
import { normalize } from './normalize.ts'
import { DEFAULT_MAX_BYTES, DEFAULT_MAX_RECORDS } from './options.ts'
import type { SenmlRecord } from './record.ts'
import { serializeCbor, serializeJson } from './serialize.ts'
import { utf8Length } from './text.ts'

export interface SplitOptions {
  /** Records in each pack at most, 1 or more; default 10,000. */
  readonly maxRecords?: number
  /** Bytes of each pack at most, in the encoding given; default 1 MiB. */
  readonly maxBytes?: number
  /** What the bytes are counted in; default `json`. */
  readonly encoding?: 'json' | 'cbor'
}

/** Bytes around and between records: brackets and commas, or the longest head of a CBOR array. */
const OVERHEAD = {
  json: { pack: 2, packOfOne: 2, separator: 1 },
  cbor: { pack: 5, packOfOne: 1, separator: 0 },
}

/**
 * Splits a pack into packs that each stand alone and keep to a limit, such as what a link carries in one message. The
 * order is kept. Relative times stay relative, so the packs have to go out together, or be resolved first.
 *
 * @param records a checked pack; it is not changed
 * @returns packs with base fields of their own
 * @throws {SenmlError} `too_large` where a single record exceeds the bytes, its index counting those that measure
 *   something; `not_finite` as `normalize`
 */
export function split(records: readonly SenmlRecord[], options: SplitOptions = {}): SenmlRecord[][] {
  const { maxRecords = DEFAULT_MAX_RECORDS, maxBytes = DEFAULT_MAX_BYTES, encoding = 'json' } = options
  const overhead = OVERHEAD[encoding]
  const packs: SenmlRecord[][] = []
  let pack: SenmlRecord[] = []
  let bytes = overhead.pack
  normalize(records).forEach((record, index) => {
    const more = sizeOf([record], encoding) - overhead.packOfOne
    if (overhead.pack + more > maxBytes) {
      throw new SenmlError('too_large', `larger than ${maxBytes} bytes by itself`, { index })
    }
    const isFull = pack.length >= maxRecords || bytes + overhead.separator + more > maxBytes
    if (isFull && pack.length > 0) {
      packs.push(smaller(pack, encoding))
      pack = []
      bytes = overhead.pack
    }
    bytes += more + (pack.length > 0 ? overhead.separator : 0)
    pack.push(record)
  })
  if (pack.length > 0) packs.push(smaller(pack, encoding))
  return packs
}

/** The pack with base fields, unless those make it larger, which the limit has not been checked for. */
function smaller(pack: SenmlRecord[], encoding: 'json' | 'cbor'): SenmlRecord[] {
  const compacted = compact(pack)
  return sizeOf(compacted, encoding) <= sizeOf(pack, encoding) ? compacted : pack
}

/** Bytes of a pack. Its version was checked when it was read. */
function sizeOf(pack: readonly SenmlRecord[], encoding: 'json' | 'cbor'): number {
  const options = { maxVersion: Infinity, maxRecords: Infinity }
  return encoding === 'json'
    ? utf8Length(serializeJson(pack, options))
    : serializeCbor(pack, options).byteLength
}
