import { EventEmitter } from 'node:events'
import { offerSharedSubscriptions } from './aedes-broker.ts'
import type { AedesClient, AedesSocket, AedesUser } from './aedes-broker.ts'
import type { Wire } from './wire.ts'

/**
 * What Aedes takes for the socket. It reads whole packets here, and what it writes joins what we write.
 *
 * As much of a stream as Aedes and mqtt-packet use: a `Duplex` for each connection would be more than all else that an idle
 * one costs us beside its socket.
 */
export class AedesStream extends EventEmitter implements AedesSocket {
  readonly user: AedesUser
  readonly #wire: Wire
  /** Set by Aedes. */
  client: AedesClient | undefined
  destroyed = false
  /** Whether Aedes has written anything; the first thing is CONNACK. */
  hasWritten = false
  #unread: Buffer | null = null
  /** CONNACK, in as many pieces as it has fields. */
  #connack: Buffer[] | undefined
  /** Whether its user knows, or is about to hear, that Aedes has read everything. */
  #isTold = false

  constructor(user: AedesUser, wire: Wire) {
    super()
    this.user = user
    this.#wire = wire
  }

  /** Whether Aedes has taken all that it was given. */
  get isHungry(): boolean {
    return this.#unread === null
  }

  /** Gives Aedes whole packets, when it is hungry: it works on all of one read at once, and decides when it reads on. */
  push(packets: Buffer): void {
    this.#unread = packets
    this.#isTold = false
    process.nextTick(() => this.destroyed || this.emit('readable'))
  }

  read(): Buffer | null {
    const packets = this.#unread
    this.#unread = null
    if (!this.#isTold) {
      this.#isTold = true
      // Never at once: Aedes reads on while mqtt-packet is still in the middle of a packet, and more bytes then make it count
      // that packet twice.
      process.nextTick(() => this.user.onRoom())
    }
    return packets
  }

  /** @returns that there is room: what a slow reader makes Aedes answer is bounded, since no more is read from it */
  write(piece: Buffer | string): true {
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece
    if (this.destroyed) return true
    if (this.hasWritten) {
      this.#wire.send(bytes)
    } else if (this.#connack) {
      this.#connack.push(bytes)
    } else {
      this.#connack = [bytes]
      process.nextTick(() => this.#sendConnack())
    }
    return true
  }

  #sendConnack(): void {
    if (!this.#connack || this.destroyed) return
    this.hasWritten = true
    this.#wire.send(offerSharedSubscriptions(Buffer.concat(this.#connack)))
    this.#connack = undefined
  }

  /** Ends the connection: Aedes calls it too, when DISCONNECT came, or something that it does not take. */
  destroy(): void {
    if (this.destroyed) return
    this.destroyed = true
    this.#unread = null
    process.nextTick(() => {
      this.client?.close()
      this.user.close()
    })
  }
}
