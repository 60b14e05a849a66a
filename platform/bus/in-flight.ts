interface Entry<T> {
  readonly number: number
  readonly value: T
}

/**
 * What waits for its answer, each under a number of its own, in places that are used again.
 *
 * Not a `Map`: V8's makes itself anew every few entries that come and go, and each table it leaves behind refers to the next. As soon
 * as one of them is among the old objects, all that follow and what they hold survive every collection of young ones: 1.5 KB
 * a message, and pauses of 5 to 10 ms twice a second at 2,000 messages a second.
 */
export class InFlight<T> {
  readonly #max: number
  readonly #places: (Entry<T> | undefined)[] = []
  readonly #free: number[] = []
  #sequence = 0
  #size = 0

  /** @param max how many there are at most, at any time */
  constructor(max: number) {
    this.#max = max
  }

  get size(): number {
    return this.#size
  }

  /** @returns its number; none that was given before */
  add(value: T): number {
    const place = this.#free.pop() ?? this.#places.length
    this.#sequence += 1
    const number = this.#sequence * this.#max + place
    this.#places[place] = { number, value }
    this.#size += 1
    return number
  }

  /** @returns what had that number, and has it no more; `undefined` when it was taken before */
  take(number: number): T | undefined {
    const place = number % this.#max
    const entry = this.#places[place]
    if (entry?.number !== number) return undefined
    this.#places[place] = undefined
    this.#free.push(place)
    this.#size -= 1
    return entry.value
  }

  /** Numbers of those that this holds for, in the order in which they came. */
  numbersOf(isWanted: (value: T) => boolean): number[] {
    if (this.#size === 0) return []
    const numbers: number[] = []
    for (const entry of this.#places) if (entry && isWanted(entry.value)) numbers.push(entry.number)
    return numbers.sort((a, b) => a - b)
  }
}
