import { isUtf8 } from 'node:buffer'
import { malformed } from './codes.ts'

/**
 * Reads the fields of one whole packet and never past its end. Everything that does not fit throws a
 * `ProtocolViolation`, so that nothing behind the guard sees a truncated packet: mqtt-packet 9.0.2 answers a truncated
 * number with -1 and a truncated string with `null`, which Aedes 2.0.0-beta.1 takes for values and throws over.
 */
export class Cursor {
  readonly bytes: Buffer
  position: number
  readonly end: number

  constructor(bytes: Buffer, position: number, end: number) {
    this.bytes = bytes
    this.position = position
    this.end = end
  }

  get remaining(): number {
    return this.end - this.position
  }

  /** Whether the next byte is there, and 0. */
  get isAtZero(): boolean {
    return this.position < this.end && this.bytes[this.position] === 0
  }

  #take(count: number): number {
    const at = this.position
    if (count > this.end - at) throw malformed('packet is shorter than its fields')
    this.position = at + count
    return at
  }

  byte(): number {
    return this.bytes[this.#take(1)] ?? 0
  }

  uint16(): number {
    return this.bytes.readUInt16BE(this.#take(2))
  }

  uint32(): number {
    return this.bytes.readUInt32BE(this.#take(4))
  }

  /** A packet identifier; never zero [MQTT-2.2.1-3] [MQTT-2.3.1-1]. */
  packetId(): number {
    const id = this.uint16()
    if (id === 0) throw malformed('packet identifier 0')
    return id
  }

  /** A Variable Byte Integer, at most four bytes and minimal [MQTT-1.5.5-1]. */
  variable(): number {
    let value = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte()
      value += (byte & 0x7f) << shift
      if (byte < 0x80) {
        if (byte === 0 && shift > 0) throw malformed('variable byte integer is not minimal')
        return value
      }
    }
    throw malformed('variable byte integer is longer than four bytes')
  }

  /** Binary data: a view of the packet's bytes, not a copy. */
  binary(): Buffer {
    const length = this.uint16()
    const at = this.#take(length)
    return this.bytes.subarray(at, at + length)
  }

  string(): string {
    const length = this.uint16()
    const at = this.#take(length)
    this.#checkText(at, at + length)
    return this.bytes.toString('utf8', at, at + length)
  }

  /** Steps over a string without making one; as strict as {@link string}. @returns its length in bytes */
  skipString(): number {
    const length = this.uint16()
    const at = this.#take(length)
    this.#checkText(at, at + length)
    return length
  }

  skipBinary(): void {
    this.#take(this.uint16())
  }

  skip(count: number): void {
    this.#take(count)
  }

  /** Well-formed UTF-8 without surrogates [MQTT-1.5.4-1] [MQTT-1.5.3-1] and U+0000 [MQTT-1.5.4-2] [MQTT-1.5.3-2]. */
  #checkText(start: number, end: number): void {
    const { bytes } = this
    for (let at = start; at < end; at += 1) {
      const byte = bytes[at] as number
      if (byte === 0) throw malformed('U+0000 in a string')
      if (byte >= 0x80) {
        // Rare: most topics are plain ASCII and never leave the loop above.
        const rest = bytes.subarray(at, end)
        if (!isUtf8(rest)) throw malformed('a string is not well-formed UTF-8')
        if (rest.includes(0)) throw malformed('U+0000 in a string')
        return
      }
    }
  }
}
