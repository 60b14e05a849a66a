import { longNumberOf } from './json.ts'

/** Of a number as it is written. */
const MAX_DIGITS = 400
/** Levels that stored JSON may nest; far below what ends JSON.stringify and Postgres's parser with a full stack. */
const MAX_DEPTH = 64

/**
 * Why Postgres cannot keep a JSON value: it nests too deep, or text in it holds U+0000 or half of a surrogate pair. Looked for
 * here, where it costs a walk, because the database would refuse the whole batch that the value is in.
 */
export function findUnstorable(value: unknown, depth = 0): string | undefined {
  if (typeof value === 'string') return findUnstorableText(value)
  if (typeof value !== 'object' || value === null) return undefined
  if (depth >= MAX_DEPTH) return `too_deep: more than ${MAX_DEPTH} levels`
  if (Array.isArray(value)) {
    for (const item of value) {
      const reason = findUnstorable(item, depth + 1)
      if (reason !== undefined) return reason
    }
    return undefined
  }
  for (const [key, item] of Object.entries(value)) {
    const reason = findUnstorableText(key) ?? findUnstorable(item, depth + 1)
    if (reason !== undefined) return reason
  }
  return undefined
}

/** Why Postgres cannot keep a text. */
export function findUnstorableText(text: string): string | undefined {
  const number = longNumberOf(text)
  if (number !== undefined) return findUnstorableNumber(number)
  if (text.includes('\u0000')) return 'invalid_text: the character U+0000'
  return HALF_PAIR.test(text) ? 'invalid_text: half of a surrogate pair' : undefined
}

/** Postgres would write some of these out with all their zeros, thousands of bytes for one that came, and refuse others. */
function findUnstorableNumber(number: string): string | undefined {
  const double = Number(number)
  if (number.length <= MAX_DIGITS && Number.isFinite(double) && double !== 0) return undefined
  return `invalid_number: ${number.slice(0, 40)} is beyond what a number can be`
}

// In Unicode mode a whole pair is one code point, so only halves are of this category.
const HALF_PAIR = /\p{Surrogate}/u
