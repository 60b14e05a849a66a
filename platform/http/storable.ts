import { InvalidInput } from '../errors.ts'

/**
 * Deeper than any document that means something. What handles values by recursion, JSON.stringify and Postgres's jsonb among
 * it, runs out of stack on a few thousand brackets.
 */
const MAX_DEPTH = 64

const LONE_SURROGATE = /\p{Surrogate}/u

interface Flaw {
  /** From the outside in. */
  readonly path: readonly (string | number)[]
  readonly what: string
}

/**
 * Refuses what Postgres's text and jsonb cannot hold: the character U+0000, and halves of surrogate pairs. Once for all input
 * and before any schema sees it, so that no field can forget it. Looks at characters: the six that spell an escape are fine.
 *
 * @param value out of JSON, a query or a path
 * @throws {InvalidInput} naming the first field that does not fit; also for what is nested too deeply
 */
export function requireStorable(value: unknown): void {
  const flaw = findFlaw(value, 0)
  if (!flaw) return
  // Names of fields are the caller's, and as long as the body may be.
  const field = flaw.path.join('.').slice(0, 200)
  throw new InvalidInput(field === '' ? flaw.what : `${field}: ${flaw.what}`)
}

function findFlaw(value: unknown, depth: number): Flaw | undefined {
  if (typeof value === 'string') return flawOfText(value)
  if (typeof value !== 'object' || value === null) return undefined
  if (depth === MAX_DEPTH) return { path: [], what: `must not be nested deeper than ${MAX_DEPTH} levels` }
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) {
      const flaw = findFlaw(value[index], depth + 1)
      if (flaw) return { ...flaw, path: [index, ...flaw.path] }
    }
    return undefined
  }
  for (const key of Object.keys(value)) {
    const flaw = flawOfText(key) ?? findFlaw((value as Record<string, unknown>)[key], depth + 1)
    if (flaw) return { ...flaw, path: [key, ...flaw.path] }
  }
  return undefined
}

function flawOfText(text: string): Flaw | undefined {
  if (text.includes('\0')) return { path: [], what: 'must not hold the character U+0000' }
  if (LONE_SURROGATE.test(text)) return { path: [], what: 'must not hold half of a surrogate pair' }
  return undefined
}
