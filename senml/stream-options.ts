/** What a stream's reader accepts. */
export interface StreamOptions {
  /** Bytes of one record at most; default {@link DEFAULT_MAX_RECORD_BYTES}. A stream as a whole has no end. */
  readonly maxRecordBytes?: number
  /** As for a pack: the highest version understood, default 10. */
  readonly maxVersion?: number
  /** As for a pack: labels ending with `_` that the application does understand. */
  readonly understood?: ReadonlySet<string>
}

/** Bytes of one record of a stream at most, unless the caller says otherwise: 64 KiB. */
export const DEFAULT_MAX_RECORD_BYTES = 65_536
