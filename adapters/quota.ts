import { QuotaExceeded, RateLimited } from '../platform/errors.ts'
import { createRate } from '../platform/rate.ts'
import type { Rate } from '../platform/rate.ts'

/** Each process counts by itself. */
export interface ConnectionLimits {
  /** Open at once, of one client, or of one user's tokens. */
  readonly perClient: number
  readonly perDomain: number
  /** New ones in a second; any number when not given. */
  readonly perClientPerS?: number | undefined
  readonly perDomainPerS?: number | undefined
}

/** Whose connection it is. */
export interface Holder {
  readonly clientId: string
  readonly domainId: string
}

export interface Entrance {
  /** It takes the place of one that is about to leave. */
  readonly isReplacing?: boolean
  /** However fast such connections come, they count only for how many there are. */
  readonly isRateFree?: boolean
}

/** Connections of those who have shown who they are: no tenant may take what all share. One for all protocols. */
export interface ConnectionQuota {
  /**
   * Counts one in; {@link leave} must follow.
   *
   * @throws {QuotaExceeded} there are as many as there may be
   * @throws {RateLimited} too many have come in the last second
   */
  enter(holder: Holder, how?: Entrance): void
  leave(holder: Holder): void
}

export function createConnectionQuota(limits: ConnectionLimits): ConnectionQuota {
  const clients = createTally(limits.perClient, 'client_connections', limits.perClientPerS)
  const domains = createTally(limits.perDomain, 'domain_connections', limits.perDomainPerS)
  return {
    enter({ clientId, domainId }, how = {}) {
      clients.check(clientId, how)
      domains.check(domainId, how)
      clients.add(clientId, how)
      domains.add(domainId, how)
    },
    leave({ clientId, domainId }) {
      clients.remove(clientId)
      domains.remove(domainId)
    },
  }
}

/** @param code of the refusal for too many at once */
function createTally(
  max: number,
  code: 'client_connections' | 'domain_connections',
  perS: number | undefined,
) {
  const counts = new Map<string, number>()
  const rate: Rate | undefined = perS === undefined ? undefined : createRate(perS)

  return {
    check(id: string, { isReplacing = false, isRateFree = false }: Entrance) {
      const waitMs = isRateFree ? 0 : (rate?.waitMs(id) ?? 0)
      if (waitMs > 0) {
        const refusal = { code: RATE_CODES[code], message: 'too many new connections; try again later' }
        throw new RateLimited(waitMs / 1_000, refusal)
      }
      if (!isReplacing && (counts.get(id) ?? 0) >= max) {
        throw new QuotaExceeded(code, `more than ${max} connections at once`)
      }
    },
    add(id: string, { isRateFree = false }: Entrance) {
      if (!isRateFree) rate?.take(id)
      counts.set(id, (counts.get(id) ?? 0) + 1)
    },
    remove(id: string) {
      const count = counts.get(id) ?? 0
      if (count > 1) counts.set(id, count - 1)
      else counts.delete(id)
    },
  }
}

const RATE_CODES = {
  client_connections: 'client_connect_rate',
  domain_connections: 'domain_connect_rate',
} as const
