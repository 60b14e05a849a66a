import { createBuckets, networkOf } from './buckets.ts'
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
