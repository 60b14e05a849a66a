import { randomUUID } from 'node:crypto'

// Nobody can put it into a message, since nobody knows it.
const MARK = randomUUID()
const MARKED = new RegExp(`"${MARK}([-+.\\deE]+)"`, 'g')

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

/** JSON with all the digits of long numbers, which `JSON.stringify` has no way to write. */
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

/** What there is in each text with a number that a double does not hold: many digits, or a large exponent. */
const MAYBE_LONG = /[\d.]{16,}|\d[eE][+-]?\d{3}/
/** Strings too, so that what looks like a number in them is left alone. */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g
/** Every decimal number of so many digits comes out of a double as it went in. */
const DIGITS = 15

/** Whether a text of JSON may have a number that `JSON.parse` would change. */
export const mayHaveLongNumbers = (text: string) => MAYBE_LONG.test(text)

/**
 * `JSON.parse` that keeps numbers that a double would change as they are written, for {@link toJson} to write again. In between
 * they are texts.
 *
 * @param text that is JSON
 */
export function parseExact(text: string): unknown {
  if (!mayHaveLongNumbers(text)) return JSON.parse(text)
  return JSON.parse(
    text.replace(TOKEN, (token) => (token.startsWith('"') || isDouble(token) ? token : `"${MARK}${token}"`)),
  )
}

/** The number as it was written, of a text that {@link parseExact} made of one. */
export const longNumberOf = (text: string) => (text.startsWith(MARK) ? text.slice(MARK.length) : undefined)

function isDouble(token: string): boolean {
  const digits = countDigits(token)
  const number = Number(token)
  const isInRange = Number.isFinite(number) && (number !== 0 || digits === 0)
  return (digits <= DIGITS && isInRange) || String(number) === token
}

/** From the first to the last that is not 0, the exponent left out. In one walk: a device may send a hundred thousand zeros. */
function countDigits(token: string): number {
  let [digits, zeros] = [0, 0]
  for (const character of token) {
    if (character === 'e' || character === 'E') break
    if (character === '0') zeros += digits === 0 ? 0 : 1
    else if (character > '0' && character <= '9') {
      digits += zeros + 1
      zeros = 0
    }
  }
  return digits
}
