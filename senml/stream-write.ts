import { concat } from './bytes.ts'
import { encodeCbor } from './cbor-codec.ts'
import { cborMapOfRecord } from './cbor-write.ts'
import { isPlainJson, writeJson } from './json-write.ts'
import type { SenmlRecord } from './record.ts'
import type { StreamOptions } from './stream-options.ts'
import { PackChecker } from './validate.ts'

/**
 * Writes a stream in JSON, `application/sensml+json` (RFC 8428 section 4.8), record by record. Put together, what
 * {@link write} and {@link end} return is an array; a stream that never ends is one without {@link end}.
 */
export class JsonStreamWriter {
  readonly #checker: PackChecker
  #count = 0

  constructor(options: StreamOptions = {}) {
    this.#checker = new PackChecker(options)
  }

  /**
   * @returns the text to send for the record
   * @throws {SenmlError} if the record is not valid behind those before it; it is as if it had not been written, and
   *   the stream is not to go on
   */
  write(record: SenmlRecord): string {
    this.#checker.check(record, this.#count)
    const text = isPlainJson(record, this.#count) ? JSON.stringify(record) : writeJson(record)
    return (this.#count++ === 0 ? '[' : ',') + text
  }

  /** @returns the text that closes the stream */
  end(): string {
    return this.#count === 0 ? '[]' : ']'
  }
}

/** Writes a stream in CBOR, `application/sensml+cbor`, as an array without a length (RFC 8428 section 6). */
export class CborStreamWriter {
  readonly #checker: PackChecker
  #count = 0

  constructor(options: StreamOptions = {}) {
    this.#checker = new PackChecker(options)
  }

  /**
   * @returns the bytes to send for the record
   * @throws {SenmlError} as {@link JsonStreamWriter.write}
   */
  write(record: SenmlRecord): Uint8Array {
    this.#checker.check(record, this.#count)
    const bytes = encodeCbor(cborMapOfRecord(record, this.#count))
    return this.#count++ === 0 ? concat([Uint8Array.of(INDEFINITE_ARRAY), bytes]) : bytes
  }

  /** @returns the bytes that close the stream */
  end(): Uint8Array {
    return this.#count === 0 ? Uint8Array.of(INDEFINITE_ARRAY, BREAK) : Uint8Array.of(BREAK)
  }
}

const INDEFINITE_ARRAY = 0x9f
const BREAK = 0xff
