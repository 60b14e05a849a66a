import { randomUUID } from 'node:crypto'

// Nobody can put it into a message, since nobody knows it.
const MARK = randomUUID()
const MARKED = new RegExp(`"${MARK}(-?\\d+)"`, 'g')

/** A whole number with more digits than a double holds, such as nanoseconds since 1970. */
export class LongInteger {
  readonly #digits: string
  constructor(digits: string) {
    this.#digits = digits
  }
  toString(): string {
    return this.#digits
  }
  /** For {@link toJson}. */
  toJSON(): string {
    return MARK + this.#digits
  }
}

/** JSON with all the digits of long integers, which `JSON.stringify` has no way to write. */
export function toJson(value: unknown): string {
  const text = JSON.stringify(value)
  return text.includes(MARK) ? text.replace(MARKED, '$1') : text
}

/** A document that also has a list of what is JSON already. */
export function toJsonWith(
  value: Readonly<Record<string, unknown>>,
  list: string,
  items: readonly string[],
): string {
  const text = toJson(value)
  return `${text.slice(0, -1)}${text === '{}' ? '' : ','}${JSON.stringify(list)}:[${items.join(',')}]}`
}
