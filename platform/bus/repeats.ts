import { ownText } from '../own-text.ts'

/**
 * Tells messages that were published twice. The stream drops the second of two with the same id, but whoever listens to what
 * is published gets both.
 */
export interface Repeats {
  /** @returns whether the id was seen lately; from then on it was */
  has(id: string): boolean
}

/** At least so many ids are remembered, at most twice as many. */
const REMEMBERED = 10_000

export function createRepeats(remembered = REMEMBERED): Repeats {
  let newer = new Set<string>()
  let older = newer
  return {
    has(id) {
      if (newer.has(id) || older.has(id)) return true
      if (newer.size >= remembered) {
        older = newer
        newer = new Set()
      }
      // It comes out of a header block of up to dozens of kilobytes.
      newer.add(ownText(id))
      return false
    },
  }
}
