import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { RateLimited, Unauthenticated } from './errors.ts'

/** Whose attempt it is. Whatever is known is counted, each for itself. */
export interface Attempt {
  /** What is tried, such as `sign-in`: an account's attempts are counted apart for each. */
  readonly purpose: string
  /** As the caller names the account, whether there is one or not. */
  readonly account?: string | undefined
  readonly address?: string | undefined
}

export interface AttemptLimits {
  readonly perAccount: number
  readonly perAddress: number
  /** Seconds over which so many failures are forgotten, evenly. */
  readonly windowS: number
}

/** Slows down those who guess. Failures are counted, successes are not: many people may share one address. */
export interface Attempts {
  /**
   * Demands that there is a try left.
   *
   * @throws {RateLimited}
   */
  check(attempt: Attempt): void
  /** Takes one off. */
  count(attempt: Attempt): void
  /**
   * Does the work unless there were too many failures, and counts it when it fails with {@link Unauthenticated}.
   *
   * @throws {RateLimited} also when the failures became too many meanwhile: who asks a thousand at once learns of no more
   *   answers than who asks one after the other
   */
  guard<T>(attempt: Attempt, work: () => Promise<T>): Promise<T>
}

// About 150 bytes each.
const MAX_KEYS = 50_000

export function createAttempts({ perAccount, perAddress, windowS }: AttemptLimits): Attempts {
  const accounts = createBuckets(perAccount, windowS)
  const addresses = createBuckets(perAddress, windowS)
  const bucketsOf = ({ purpose, account, address }: Attempt) => [
    ...(account === undefined ? [] : [accounts(`${purpose} ${account.toLowerCase()}`)]),
    ...(address === undefined ? [] : [addresses(networkOf(address))]),
  ]

  function check(attempt: Attempt): void {
    const waitS = Math.max(0, ...bucketsOf(attempt).map((bucket) => bucket.waitS()))
    if (waitS > 0) throw new RateLimited(Math.ceil(waitS))
  }

  function count(attempt: Attempt): void {
    for (const bucket of bucketsOf(attempt)) bucket.add()
  }

  return {
    check,
    count,
    async guard(attempt, work) {
      check(attempt)
      try {
        const result = await work()
        check(attempt)
        return result
      } catch (error) {
        if (error instanceof Unauthenticated) {
          check(attempt)
          count(attempt)
        }
        throw error
      }
    },
  }
}

/** Leaky buckets: failures come in, and run out over the window. The least used ones are forgotten when there are too many. */
function createBuckets(max: number, windowS: number) {
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
      /** Seconds until there is room for one more; 0 when there is. */
      waitS: () => Math.max(0, levelNow() - (max - 1)) / drainPerMs / 1_000,
      add: () => void levels.set(key, { level: levelNow() + 1, atMs: Date.now() }),
    }
  }
}

/** A household or a server has a whole /64 of IPv6, and could come from another address of it each time. */
function networkOf(address: string): string {
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
