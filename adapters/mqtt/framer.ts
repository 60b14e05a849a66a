import { malformed, ProtocolViolation, Reason } from './codes.ts'

/** One whole packet, in place: a view into the bytes that arrived. */
export interface Frame {
  readonly bytes: Buffer
  /** Where the fixed header begins. */
  readonly start: number
  /** Where the variable header begins. */
  readonly body: number
  readonly end: number
  readonly type: number
  /** The low four bits of the first byte. */
  readonly flags: number
}

// Flags that the fixed header must carry, by type; `undefined` is any, -1 is a type that no client may send
// [MQTT-2.1.3-1]. AUTH (15) is not taken: who asks for enhanced authentication is refused at CONNECT.
const FLAGS = [-1, 0, -1, undefined, 0, 0, 2, 0, 2, -1, 2, -1, 0, -1, 0, -1] as const

/** Whether the length is written in more bytes than it needs. MQTT 5 forbids that [MQTT-1.5.5-1], older versions do not. */
export function isPadded({ bytes, start, body }: Frame): boolean {
  return body - start > 2 && bytes[body - 1] === 0
}

const NOTHING = Buffer.alloc(0)

/**
 * Cuts the byte stream of a connection into packets. Type, flags and length are judged as soon as their bytes are there,
 * so that a packet over the limit is refused by its first five bytes and never buffered.
 */
export class Framer {
  /** Bytes of the largest packet, fixed header included. */
  limitBytes: number
  #bytes: Buffer = NOTHING
  #at = 0
  #end = 0
  /** Whether `#bytes` was allocated here and has room behind `#end`; views handed out end before it. */
  #isOwn = false
  /** Bytes of the packet that is under way, once its length is known. */
  #needed = 0

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes
  }

  append(chunk: Buffer): void {
    const held = this.#end - this.#at
    if (held === 0) {
      this.#bytes = chunk
      this.#at = 0
      this.#end = chunk.length
      this.#isOwn = false
      return
    }
    if (!this.#isOwn || this.#bytes.length - this.#end < chunk.length) {
      // Grown by doubling, towards the length announced: many small pieces cost neither many copies nor many objects, and
      // what is announced but never sent costs nothing.
      const total = held + chunk.length
      const grown = Buffer.allocUnsafeSlow(Math.max(total, Math.min(total * 2, this.#needed)))
      this.#bytes.copy(grown, 0, this.#at, this.#end)
      this.#bytes = grown
      this.#at = 0
      this.#end = held
      this.#isOwn = true
    }
    chunk.copy(this.#bytes, this.#end)
    this.#end += chunk.length
  }

  /**
   * The next whole packet, or `undefined` until more arrives.
   *
   * @throws {ProtocolViolation} wrong type or flags, malformed length, over the limit
   */
  next(): Frame | undefined {
    const bytes = this.#bytes
    const start = this.#at
    const end = this.#end
    if (start >= end) {
      // An idle connection keeps nothing of what it sent last.
      this.#bytes = NOTHING
      this.#at = this.#end = 0
      return undefined
    }
    const first = bytes[start] as number
    const type = first >> 4
    const flags = first & 0x0f
    const wanted = FLAGS[type]
    if (wanted !== undefined && wanted !== flags) throw malformed('bad packet type or flags') // [MQTT-2.1.3-1]
    let length = 0
    let body = start + 1
    for (let shift = 0; ; shift += 7) {
      if (body >= end) return undefined
      const byte = bytes[body] as number
      body += 1
      length += (byte & 0x7f) << shift
      // Judged by every byte: even an unfinished length is at least this much.
      if (body - start + length > this.limitBytes) {
        throw new ProtocolViolation(
          Reason.packetTooLarge,
          'packet_too_large',
          `packet over ${this.limitBytes} bytes`,
        )
      }
      if (byte < 0x80) break
      if (shift === 21) throw malformed('remaining length of more than four bytes')
    }
    this.#needed = body - start + length
    if (body + length > end) return undefined
    this.#at = body + length
    this.#needed = 0
    return { bytes, start, body, end: body + length, type, flags }
  }
}
