import type { Duplex } from 'node:stream'
import { endAndLinger } from '../../platform/linger.ts'

/** Bytes that may wait for a slow reader before we stop reading from it, and drop QoS 0 messages for it. */
const CONGESTED_BYTES = 256 * 1024
/** Below this, packets of one tick are copied into one write; above, copying costs more than a longer `writev`. */
const JOIN_BYTES = 64 * 1024

/**
 * What goes out on one connection, ours and Aedes's. Packets of one tick leave in one write: one system call (over
 * WebSocket one frame) for a burst instead of one each.
 */
export class Wire {
  readonly #stream: Duplex
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #isScheduled = false
  #isFinished = false

  /** @param onDrain the peer has taken everything, after {@link isCongested} may have been true */
  constructor(stream: Duplex, onDrain: () => void) {
    this.#stream = stream
    stream.on('drain', onDrain)
  }

  // True only beyond the stream's own high-water mark, so a `drain` always follows; or its `close`, and then it is over.
  get isCongested(): boolean {
    if (!this.#stream.writable) return false
    return this.#waitingBytes + this.#stream.writableLength > CONGESTED_BYTES
  }

  send(bytes: Buffer): void {
    if (this.#isFinished) return
    this.#waiting.push(bytes)
    this.#waitingBytes += bytes.length
    if (this.#isScheduled) return
    this.#isScheduled = true
    process.nextTick(this.#flush)
  }

  readonly #flush = (): void => {
    this.#isScheduled = false
    const { length } = this.#waiting
    if (length === 0) return
    const waiting = this.#waiting
    const bytes = this.#waitingBytes
    this.#waiting = []
    this.#waitingBytes = 0
    const stream = this.#stream
    if (!stream.writable) return
    if (length === 1) stream.write(waiting[0])
    else if (bytes <= JOIN_BYTES) stream.write(Buffer.concat(waiting, bytes))
    else {
      stream.cork()
      for (const packet of waiting) stream.write(packet)
      stream.uncork()
    }
  }

  /** Sends what waits, then ends the connection; a peer that does not take it loses it after a moment. */
  finish(): void {
    if (this.#isFinished) return
    this.#flush()
    this.#isFinished = true
    endAndLinger(this.#stream)
  }
}
