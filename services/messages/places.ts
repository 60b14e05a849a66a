import { RateLimited, Unavailable } from '../../platform/errors.ts'
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

/** @param what in the plural, as in `live readers` */
export function createPlaces(what: string, { total, perDomain, perCaller }: PlacesLimits): Places {
  const taken = new Map<string, number>()
  const code = `too_many_${what.replaceAll(' ', '_')}`
  let count = 0

  function add(key: string, difference: 1 | -1): void {
    const now = (taken.get(key) ?? 0) + difference
    if (now === 0) taken.delete(key)
    else taken.set(key, now)
  }

  return {
    take({ domainId, principal }) {
      const [caller, domain] = [`${principal.kind}:${principal.id}`, `domain:${domainId}`]
      if ((taken.get(caller) ?? 0) >= perCaller) {
        throw new RateLimited(RETRY_S, {
          code,
          message: `too many ${what} of this ${principal.kind} at once`,
        })
      }
      if ((taken.get(domain) ?? 0) >= perDomain) {
        throw new RateLimited(RETRY_S, { code, message: `too many ${what} of this domain at once` })
      }
      if (count >= total) throw new Unavailable(`too many ${what} at once`)
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
