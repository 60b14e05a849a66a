import { LRUCache } from 'lru-cache'

/** So many a second for each of many keys. */
export interface Rate {
  /** Milliseconds until there is room for one more; 0 when there is. Takes nothing. */
  waitMs(key: string): number
  take(key: string): void
}

// About 100 bytes each. What has been idle for a second is as good as forgotten, so nobody gains by pushing others out.
const MAX_KEYS = 100_000

/**
 * A bucket a key that holds one second's worth, so as many can come at once, and fills evenly. Without a timer, and with one
 * number a key: the moment at which its bucket will be full again (the generic cell rate algorithm).
 */
export function createRate(perS: number): Rate {
  const intervalMs = 1_000 / perS
  const toleranceMs = Math.max(0, 1_000 - intervalMs)
  const fullAt = new LRUCache<string, number>({ max: MAX_KEYS })

  return {
    waitMs(key) {
      const at = fullAt.get(key)
      return at === undefined ? 0 : Math.max(0, at - toleranceMs - performance.now())
    },
    take(key) {
      const now = performance.now()
      fullAt.set(key, Math.max(fullAt.get(key) ?? 0, now) + intervalMs)
    },
  }
}
