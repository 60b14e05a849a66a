/** The version that RFC 8428 defines, and that a record has when it says none (section 4.1). */
export const DEFAULT_VERSION = 10

/** Times below are relative to now, times from here on are seconds since the Unix epoch (section 4.5.3). */
export const RELATIVE_TIME_LIMIT = 2 ** 28

/** The fields of a record, its number aside. */
export interface RecordFields {
  /** Base name, put in front of the name. */
  bn?: string
  /** Base time in seconds, added to the time. */
  bt?: number
  /** Base unit, for records without a unit. */
  bu?: string
  /** Base value, added to the number in `v`. */
  bv?: number
  /** Base sum, added to the sum. */
  bs?: number
  /** Version of the format, the same in all records of a pack; {@link DEFAULT_VERSION} when absent. */
  bver?: number
  /** Name. */
  n?: string
  /** Unit, a symbol of the registry (see `units.ts`) or any other. */
  u?: string
  /** Text. */
  vs?: string
  /** Boolean. */
  vb?: boolean
  /** Bytes as base64url without padding, as JSON writes them; `base64url.ts` turns them into bytes and back. */
  vd?: string
  /** Integral of the value over time, in the unit times seconds. */
  s?: number
  /** Time in seconds: since the Unix epoch from {@link RELATIVE_TIME_LIMIT} on, relative to now below it. */
  t?: number
  /** Seconds until the next reading at the latest. */
  ut?: number
  /**
   * Fields of extensions, kept as they came (section 4.4). From CBOR, byte strings are `Uint8Array`; JSON writes
   * those as base64url.
   */
  [label: string]: unknown
}

/**
 * One record as it stands in a pack: the JSON object of RFC 8428 section 5, whatever the encoding it came in.
 * Base fields hold for this record and those behind it, until the next one of the same name (section 4).
 */
export interface SenmlRecord extends RecordFields {
  /** Number. At most one of `v`, `vs`, `vb` and `vd` is there. */
  v?: number
}

/** A record that stands alone: base fields folded in, the time always there (section 4.6). */
export interface ResolvedRecord extends SenmlRecord {
  n: string
  t: number
  bn?: undefined
  bt?: undefined
  bu?: undefined
  bv?: undefined
  bs?: undefined
}
