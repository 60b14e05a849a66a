import { SenmlError } from './errors.ts'
import { FailureLatch } from './failure-latch.ts'
import type { SenmlRecord } from './record.ts'
import { DEFAULT_MAX_RECORD_BYTES, type StreamOptions } from './stream-options.ts'
import { utf8Length } from './text.ts'
import { isRecordLike, PackChecker } from './validate.ts'

/** Where in the array the reader stands. */
type State = 'start' | 'first' | 'record' | 'behind' | 'next' | 'end'

const WHITESPACE = /[ \t\n\r]/

/**
 * Reads a stream in JSON, `application/sensml+json`, as it arrives (RFC 8428 section 4.8): each record comes out as
 * soon as its closing brace is in. An array that never closes is a stream too.
 *
 * Records that arrive whole are returned even if what follows them is wrong; the next call throws then. Once it has
 * thrown, it throws the same again.
 */
export class JsonStreamReader {
  readonly #checker: PackChecker
  readonly #maxRecordBytes: number
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true })
  #state: State = 'start'
  /** What has come of the record that is not complete. */
  #partial = ''
  #depth = 0
  #isInString = false
  #isEscaped = false
  #count = 0
  readonly #latch = new FailureLatch()

  constructor(options: StreamOptions = {}) {
    this.#checker = new PackChecker(options)
    this.#maxRecordBytes = options.maxRecordBytes ?? DEFAULT_MAX_RECORD_BYTES
  }

  /**
   * Takes the next bytes, cut anywhere, or the next text.
   *
   * @returns the records that became complete, checked
   * @throws {SenmlError} what is wrong first, unless there are records to return
   */
  push(chunk: Uint8Array | string): SenmlRecord[] {
    return this.#latch.collect((records) => {
      this.#read(typeof chunk === 'string' ? chunk : this.#decode(chunk, true), records)
    })
  }

  /**
   * Says that nothing more comes.
   *
   * @throws {SenmlError} `invalid_json` where that cuts a record, `empty_pack` where there was none
   */
  end(): void {
    this.#latch.collect(() => {
      this.#decode(new Uint8Array(0), false)
      if (this.#state === 'record') throw this.#invalid('the stream ends within a record')
      if (this.#count === 0) throw new SenmlError('empty_pack', 'the stream has no records')
    })
  }

  #decode(bytes: Uint8Array, stream: boolean): string {
    try {
      return this.#utf8.decode(bytes, { stream })
    } catch (cause) {
      throw new SenmlError('invalid_json', 'the stream is not UTF-8', { index: this.#count, cause })
    }
  }

  #read(text: string, records: SenmlRecord[]): void {
    let start = 0
    for (let at = 0; at < text.length; at++) {
      if (this.#state !== 'record') {
        this.#between(text.charAt(at))
        start = at
      } else if (this.#closesRecord(text.charCodeAt(at))) {
        records.push(this.#complete(this.#partial + text.slice(start, at + 1)))
      }
    }
    if (this.#state === 'record') this.#keep(text.slice(start))
  }

  /** A character that is not part of a record. */
  #between(character: string): void {
    if (WHITESPACE.test(character)) return
    const isBeforeRecord = this.#state === 'first' || this.#state === 'next'
    if (this.#state === 'start' && character === '[') this.#state = 'first'
    else if (this.#state === 'behind' && character === ',') this.#state = 'next'
    else if ((this.#state === 'behind' || this.#state === 'first') && character === ']') this.#state = 'end'
    else if (isBeforeRecord && character === '{') {
      this.#state = 'record'
      this.#depth = 1
    } else if (this.#state === 'start') throw new SenmlError('not_a_pack', 'the stream is not an array')
    else if (isBeforeRecord)
      throw new SenmlError('invalid_record', 'is not an object', { index: this.#count })
    else throw this.#invalid('the stream goes on behind a record as no array does')
  }

  /** Whether this character of a record is its last: the brace that closes it, not one in a text or deeper. */
  #closesRecord(code: number): boolean {
    if (this.#isEscaped) this.#isEscaped = false
    else if (this.#isInString) {
      if (code === BACKSLASH) this.#isEscaped = true
      else if (code === QUOTE) this.#isInString = false
    } else if (code === QUOTE) this.#isInString = true
    else if (code === OPENING_BRACE) this.#depth++
    else if (code === CLOSING_BRACE) this.#depth--
    return this.#depth === 0
  }

  #keep(more: string): void {
    this.#partial += more
    if (this.#partial.length > this.#maxRecordBytes) throw this.#tooLarge()
  }

  #complete(text: string): SenmlRecord {
    if (utf8Length(text) > this.#maxRecordBytes) throw this.#tooLarge()
    const index = this.#count++
    this.#partial = ''
    this.#state = 'behind'
    const record = parseRecord(text, index)
    this.#checker.check(record, index)
    return record
  }

  #invalid(message: string): SenmlError {
    return new SenmlError('invalid_json', message, { index: this.#count })
  }

  #tooLarge(): SenmlError {
    return new SenmlError('too_large', `larger than ${this.#maxRecordBytes} bytes`, { index: this.#count })
  }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPENING_BRACE = 0x7b
const CLOSING_BRACE = 0x7d

function parseRecord(text: string, index: number): SenmlRecord {
  let record: unknown
  try {
    record = JSON.parse(text)
  } catch (cause) {
    throw new SenmlError('invalid_json', 'is not JSON', { index, cause })
  }
  if (!isRecordLike(record)) throw new SenmlError('invalid_record', 'is not an object', { index })
  return record
}
