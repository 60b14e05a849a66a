/** What a reader accepts. Everything is optional; the defaults are those of RFC 8428 and of a careful server. */
export interface ParseOptions {
  /** Records in a pack at most; default {@link DEFAULT_MAX_RECORDS}. */
  readonly maxRecords?: number
  /** Bytes of a pack at most; default {@link DEFAULT_MAX_BYTES}. */
  readonly maxBytes?: number
  /**
   * The highest version understood (RFC 8428 section 4.4), default 10. `Infinity` takes any version; that all
   * records of a pack have the same one is asked for regardless.
   */
  readonly maxVersion?: number
  /** Labels ending with `_` that the application does understand (section 4.4); default none. */
  readonly understood?: ReadonlySet<string>
}

/** Records in a pack at most, unless the caller says otherwise. */
export const DEFAULT_MAX_RECORDS = 10_000

/** Bytes of a pack at most, unless the caller says otherwise: 1 MiB. */
export const DEFAULT_MAX_BYTES = 1_048_576
