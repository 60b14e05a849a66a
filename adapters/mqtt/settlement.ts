import type { Msg } from 'nats'

/** What becomes of a message that a group of subscribers shares: one of them takes it, or it goes to another. */
export class Settlement {
  readonly #msg: Msg
  readonly #onSettled: (settlement: Settlement) => void
  #isSettled = false

  constructor(msg: Msg, onSettled: (settlement: Settlement) => void) {
    this.#msg = msg
    this.#onSettled = onSettled
  }

  /** The subscriber has it. */
  accept(): void {
    this.#settle('+ACK')
  }

  /** It goes to another member, or waits for one. */
  handOver(): void {
    this.#settle('-NAK')
  }

  /** The subscriber takes its time: nobody else is to get it meanwhile. */
  extend(): void {
    if (!this.#isSettled) this.#say('+WPI')
  }

  #settle(word: string): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#say(word)
    this.#onSettled(this)
  }

  #say(word: string): void {
    try {
      this.#msg.respond(word)
    } catch {
      // The connection is closed: the server gives the message to another when nothing is heard.
    }
  }
}
