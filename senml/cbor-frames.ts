import { MAX_DEPTH, SenmlError } from './errors.ts'

/**
 * Finds where CBOR items end, byte by byte as they arrive, without looking into them: only the heads that say how
 * much follows (RFC 8949 section 3). What the items hold is the codec's business.
 */
export class CborFrames {
  /** Items still to come in each container that is open; `Infinity` until a break. */
  readonly #open: number[] = []
  /** Bytes of text or byte string still to skip. */
  #skip = 0
  /** Bytes of the head still to come, and what those so far add up to. */
  #headLeft = 0
  #argument = 0
  #major = 0

  /**
   * Takes the next byte of an item.
   *
   * @returns whether the item is complete with it
   * @throws {SenmlError} `invalid_cbor`, `too_deep`
   */
  push(byte: number): boolean {
    if (this.#skip > 0) return --this.#skip === 0 && this.#closeItem()
    if (this.#headLeft > 0) {
      this.#argument = this.#argument * 256 + byte
      return --this.#headLeft === 0 && this.#enter(this.#major, this.#argument)
    }
    if (byte === BREAK) return this.#closeContainer()
    this.#major = byte >> 5
    const minor = byte & 31
    if (minor < 24) return this.#enter(this.#major, minor)
    if (minor < 28) {
      this.#headLeft = 1 << (minor - 24)
      this.#argument = 0
      return false
    }
    const isContainer = this.#major === ARRAY || this.#major === MAP
    if (minor !== INDEFINITE || !isContainer)
      throw invalid('a head that says nothing, or text without a length')
    return this.#openContainer(Infinity)
  }

  /** Acts on a head that is complete. */
  #enter(major: number, argument: number): boolean {
    switch (major) {
      case BYTES:
      case TEXT:
        this.#skip = argument
        return argument === 0 && this.#closeItem()
      case ARRAY:
        return this.#openContainer(argument)
      case MAP:
        return this.#openContainer(argument * 2)
      case TAG:
        // A tag is no item of its own: it and what it marks are one.
        return this.#openContainer(1)
      default:
        return this.#closeItem()
    }
  }

  #openContainer(items: number): boolean {
    if (items === 0) return this.#closeItem()
    // One level for the record itself, and one for the value of each of its fields.
    if (this.#open.length > MAX_DEPTH + 1) throw new SenmlError('too_deep', 'nests too deep')
    this.#open.push(items)
    return false
  }

  #closeContainer(): boolean {
    if (this.#open.pop() !== Infinity) throw invalid('a break where nothing is open')
    return this.#closeItem()
  }

  /** An item is complete, and with it the containers it was the last of. */
  #closeItem(): boolean {
    for (;;) {
      const left = this.#open.pop()
      if (left === undefined) return true
      if (left > 1) {
        this.#open.push(left - 1)
        return false
      }
    }
  }
}

const BYTES = 2
const TEXT = 3
const ARRAY = 4
const MAP = 5
const TAG = 6
const INDEFINITE = 31
const BREAK = 0xff

function invalid(message: string): SenmlError {
  return new SenmlError('invalid_cbor', message)
}
