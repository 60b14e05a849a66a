import { costOf } from './backlog.ts'
import type { Delivery } from './encode.ts'

/** Deliveries that wait, in order, and what they count towards the bound of their session. */
export class Queue {
  /** Empty before the head: what was taken out must not stay in memory. */
  #items: (Delivery | undefined)[] = []
  #head = 0
  #bytes = 0

  get length(): number {
    return this.#items.length - this.#head
  }

  get bytes(): number {
    return this.#bytes
  }

  get first(): Delivery | undefined {
    return this.#items[this.#head]
  }

  push(delivery: Delivery): void {
    this.#items.push(delivery)
    this.#bytes += costOf(delivery)
  }

  shift(): Delivery | undefined {
    const delivery = this.#items[this.#head]
    if (!delivery) return undefined
    this.#items[this.#head] = undefined
    this.#head += 1
    this.#bytes -= costOf(delivery)
    // Cut in large steps: moving the rest each time would cost more the more there is.
    if (this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return delivery
  }

  *[Symbol.iterator](): Iterator<Delivery> {
    for (const delivery of this.#items) if (delivery) yield delivery
  }

  clear(): void {
    this.#items = []
    this.#head = 0
    this.#bytes = 0
  }
}
