import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'

// About 150 bytes each.
const MAX_KEYS = 50_000

/** Leaky buckets: failures come in, and run out over the window. The least used ones are forgotten when there are too many. */
export function createBuckets(max: number, windowS: number) {
  const drainPerMs = max / (windowS * 1_000)
  const levels = new LRUCache<string, { level: number; atMs: number }>({
    max: MAX_KEYS,
    ttl: windowS * 1_000,
  })

  return (name: string) => {
    // Of fixed length, whatever a stranger sends as his name.
    const key = createHash('sha256').update(name).digest('base64')
    function levelNow(): number {
      const entry = levels.get(key)
      return entry ? Math.max(0, entry.level - (Date.now() - entry.atMs) * drainPerMs) : 0
    }
    return {
      /** Whether nothing in it is remembered. */
      isEmpty: () => levelNow() === 0,
      /** Seconds until there is room for one more; 0 when there is. */
      waitS: () => Math.max(0, levelNow() - (max - 1)) / drainPerMs / 1_000,
      add: () => void levels.set(key, { level: levelNow() + 1, atMs: Date.now() }),
    }
  }
}

/** IPv4 inside IPv6, as sockets show it that listen on both, is the IPv4 that it is. */
export const plainAddress = (address: string) => address.replace(/^::ffff:(?=\d+\.)/i, '')

/** A household or a server has a whole /64 of IPv6, and could come from another address of it each time. */
export function networkOf(given: string): string {
  const address = plainAddress(given)
  if (!address.includes(':')) return address
  const [head = '', tail] = address.split('%', 1).join('').split('::')
  const left = head.split(':').filter((part) => part !== '')
  const right = (tail ?? '').split(':').filter((part) => part !== '')
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length)
  const all = [...left, ...Array.from({ length: zeros }, () => '0'), ...right]
  return all
    .slice(0, 4)
    .map((part) => Number.parseInt(part, 16).toString(16))
    .join(':')
}
