import { concat } from './bytes.ts'
import { CborFrames } from './cbor-frames.ts'
import { readCborRecord } from './cbor-read.ts'
import { SenmlError } from './errors.ts'
import { FailureLatch } from './failure-latch.ts'
import type { SenmlRecord } from './record.ts'
import { DEFAULT_MAX_RECORD_BYTES, type StreamOptions } from './stream-options.ts'
import { PackChecker } from './validate.ts'

/** The first bytes of a stream may say "this is CBOR" (tag 55799, RFC 8949 section 3.4.6). */
const SELF_DESCRIBED = [0xd9, 0xd9, 0xf7]
const BREAK = 0xff
const INDEFINITE_ARRAY = 0x9f

/**
 * Reads a stream in CBOR, `application/sensml+cbor`, as it arrives (RFC 8428 sections 4.8 and 6): each record comes
 * out as soon as its last byte is in. The array should have no length; one that has is taken too.
 *
 * Records that arrive whole are returned even if what follows them is wrong; the next call throws then. Once it has
 * thrown, it throws the same again.
 */
export class CborStreamReader {
  readonly #checker: PackChecker
  readonly #maxRecordBytes: number
  readonly #latch = new FailureLatch()
  readonly #frames = new CborFrames()
  /** Bytes in front of the first record, undefined once the array has been opened. */
  #head: number[] | undefined = []
  /** Records still to come: `Infinity` until a break, 0 behind the end. */
  #left = Infinity
  /** What has come of the record that is not complete, copied, for chunks may be used again; room to grow behind it. */
  #partial = new Uint8Array(0)
  #partialBytes = 0
  #count = 0

  constructor(options: StreamOptions = {}) {
    this.#checker = new PackChecker(options)
    this.#maxRecordBytes = options.maxRecordBytes ?? DEFAULT_MAX_RECORD_BYTES
  }

  /**
   * Takes the next bytes, cut anywhere.
   *
   * @returns the records that became complete, checked
   * @throws {SenmlError} what is wrong first, unless there are records to return
   */
  push(chunk: Uint8Array): SenmlRecord[] {
    return this.#latch.collect((records) => this.#read(chunk, records))
  }

  /**
   * Says that nothing more comes.
   *
   * @throws {SenmlError} `invalid_cbor` where that cuts a record or leaves some of an array's length to come,
   *   `empty_pack` where there was none
   */
  end(): void {
    this.#latch.collect(() => {
      if (this.#partialBytes > 0 || (this.#left > 0 && this.#left !== Infinity)) {
        throw this.#error('invalid_cbor', 'the stream ends too early')
      }
      if (this.#count === 0) throw new SenmlError('empty_pack', 'the stream has no records')
    })
  }

  #read(chunk: Uint8Array, records: SenmlRecord[]): void {
    let start = 0
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] as number
      if (this.#head !== undefined) {
        this.#open(this.#head, byte)
        start = at + 1
      } else if (this.#left === 0) {
        throw this.#error('invalid_cbor', 'bytes follow the stream')
      } else if (byte === BREAK && at === start && this.#partialBytes === 0 && this.#left === Infinity) {
        this.#left = 0
      } else if (this.#frames.push(byte)) {
        records.push(this.#complete(chunk.subarray(start, at + 1)))
        start = at + 1
      }
    }
    if (start < chunk.length && this.#left > 0) this.#keep(chunk.subarray(start))
  }

  /** Reads the head of the array, which gives its length or says that it has none. */
  #open(head: number[], byte: number): void {
    head.push(byte)
    if (head.every((byte, i) => byte === SELF_DESCRIBED[i])) {
      if (head.length === SELF_DESCRIBED.length) head.length = 0
      return
    }
    const first = head[0] as number
    const minor = first & 31
    if (first >> 5 !== 4 || (minor > 27 && first !== INDEFINITE_ARRAY)) {
      throw new SenmlError('not_a_pack', 'the stream is not an array')
    }
    const more = minor < 24 || first === INDEFINITE_ARRAY ? 0 : 1 << (minor - 24)
    if (head.length <= more) return
    if (first !== INDEFINITE_ARRAY) {
      this.#left = more === 0 ? minor : head.slice(1).reduce((length, byte) => length * 256 + byte, 0)
    }
    this.#head = undefined
  }

  /** Adds to the record that is not complete, in one buffer however small the pieces are. */
  #keep(more: Uint8Array): void {
    const length = this.#partialBytes + more.length
    if (length > this.#maxRecordBytes) throw this.#tooLarge()
    if (length > this.#partial.length) {
      const larger = new Uint8Array(Math.max(length, this.#partial.length * 2))
      larger.set(this.#partial)
      this.#partial = larger
    }
    this.#partial.set(more, this.#partialBytes)
    this.#partialBytes = length
  }

  #complete(rest: Uint8Array): SenmlRecord {
    if (this.#partialBytes + rest.length > this.#maxRecordBytes) throw this.#tooLarge()
    const bytes =
      this.#partialBytes === 0 ? rest : concat([this.#partial.subarray(0, this.#partialBytes), rest])
    this.#partialBytes = 0
    this.#left--
    const index = this.#count++
    const record = readCborRecord(bytes, index)
    this.#checker.check(record, index)
    return record
  }

  #tooLarge(): SenmlError {
    return this.#error('too_large', `larger than ${this.#maxRecordBytes} bytes`)
  }

  #error(code: 'invalid_cbor' | 'too_large', message: string): SenmlError {
    return new SenmlError(code, message, { index: this.#count })
  }
}
