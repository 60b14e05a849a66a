import { Duplex } from 'node:stream'
import { offerSharedSubscriptions } from './aedes-broker.ts'
import type { Wire } from './wire.ts'

/**
 * What Aedes takes for the socket. It reads whole packets here, and what it writes joins what we write.
 */
export class AedesStream extends Duplex {
  readonly #wire: Wire
  readonly #onHungry: () => void
  /** Whether Aedes has written anything; the first thing is CONNACK. */
  hasWritten = false
  #waiting: ((error?: Error | null) => void) | undefined

  /** @param onHungry Aedes has read everything; never called from within its reading */
  constructor(wire: Wire, onHungry: () => void) {
    // A single piece fills it: Aedes decides when it reads on, and works on all of one read at once.
    super({ readableHighWaterMark: 1, allowHalfOpen: false, decodeStrings: true })
    this.#wire = wire
    this.#onHungry = onHungry
  }

  /** Whether Aedes has taken all that it was given. */
  get isHungry(): boolean {
    return this.readableLength === 0
  }

  override _read(): void {
    // Never at once: Aedes reads on while mqtt-packet is still in the middle of a packet, and more bytes then make it
    // count that packet twice. A socket's `_read` comes later by nature.
    process.nextTick(this.#onHungry)
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#wire.send(chunk)
    this.#sent(done)
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    if (this.hasWritten) for (const { chunk } of chunks) this.#wire.send(chunk)
    // CONNACK, in as many pieces as it has fields.
    else this.#wire.send(offerSharedSubscriptions(Buffer.concat(chunks.map(({ chunk }) => chunk))))
    this.#sent(done)
  }

  #sent(done: (error?: Error | null) => void): void {
    this.hasWritten = true
    if (this.#wire.isCongested) this.#waiting = done
    else done()
  }

  onDrain(): void {
    const done = this.#waiting
    this.#waiting = undefined
    done?.()
  }

  override _destroy(_error: Error | null, done: (error?: Error | null) => void): void {
    // Aedes destroys its connection with the error that it reports as an event; nobody needs it here.
    done(null)
  }
}
