import { RateLimited, Unavailable } from '../../platform/errors.ts'
import type { Tally } from '../../platform/metrics.ts'
import type { Admission } from './access.ts'

/** How many answers of a kind may be under way at once. */
export interface PlacesLimits {
  /** In the process. */
  readonly total: number
  readonly perDomain: number
  /** Of one client or one user, whatever the domain: a user may have many. */
  readonly perCaller: number
}

/** Places for answers that last, so that no tenant takes them all. */
export interface Places {
  /**
   * Takes one; returns what gives it back, once however often it is called.
   *
   * @throws {RateLimited} the caller, or all of its domain, have as many as they may
   * @throws {Unavailable} the process has; another one may have room
   */
  take(admission: Admission): () => void
}

const RETRY_S = 5

/** @param refused counts who gets none */
export function createPlaces(
  kind: 'live_readers' | 'replays',
  { total, perDomain, perCaller }: PlacesLimits,
  refused: (reason: string) => Tally,
): Places {
  const taken = new Map<string, number>()
  const code = `too_many_${kind}`
  const words = `too many ${kind.replace('_', ' ')}`
  const counter = refused(code)
  let count = 0

  function refusalOf(callers: number, ofDomain: number, who: string): Error | undefined {
    if (callers >= perCaller)
      return new RateLimited(RETRY_S, { code, message: `${words} of this ${who} at once` })
    if (ofDomain >= perDomain)
      return new RateLimited(RETRY_S, { code, message: `${words} of this domain at once` })
    return count >= total ? new Unavailable(`${words} at once`) : undefined
  }

  function add(key: string, difference: 1 | -1): void {
    const now = (taken.get(key) ?? 0) + difference
    if (now === 0) taken.delete(key)
    else taken.set(key, now)
  }

  return {
    take({ domainId, principal }) {
      const [caller, domain] = [`${principal.kind}:${principal.id}`, `domain:${domainId}`]
      const refusal = refusalOf(taken.get(caller) ?? 0, taken.get(domain) ?? 0, principal.kind)
      if (refusal) {
        counter.value += 1
        throw refusal
      }
      const change = (difference: 1 | -1) => {
        count += difference
        add(caller, difference)
        add(domain, difference)
      }
      change(1)
      let isTaken = true
      return () => {
        if (isTaken) change(-1)
        isTaken = false
      }
    },
  }
}
