import type { Routes } from './routes.ts'
import { parseFilter } from './shared-filter.ts'
import type { Shares } from './shared.ts'
import type { Route, Session } from './sessions.ts'

/** The subscriptions of all sessions of this process, each where its messages come from. */
export interface Subscriptions {
  /**
   * Waits until the bus delivers here, then lets the route have its messages; replaces the session's with the same filter.
   *
   * @param how.isRestored whether the session had it before: it was granted then, and is not refused now
   * @throws {Unavailable} the bus is away
   * @throws {QuotaExceeded} the channel's filters place their wildcards in too many ways
   */
  add(route: Route, how?: { readonly isRestored: boolean }): Promise<void>
  /** @returns whether there was one */
  remove(session: Session, filter: string): boolean
  /** How many the sessions of a domain have. */
  countOf(domainId: string): number
}

/**
 * @param live   for sessions that end with their connection
 * @param stored for those that go on, here or elsewhere
 */
export function createSubscriptions({
  live,
  stored,
  shares,
}: {
  live: Routes
  stored: Routes
  shares: Shares
}): Subscriptions {
  const routesOf = (session: Session): Routes => (session.isDurable ? stored : live)
  const counts = new Map<string, number>()

  function count({ principal: { domainId } }: Session, change: 1 | -1): void {
    const total = (counts.get(domainId) ?? 0) + change
    if (total > 0) counts.set(domainId, total)
    else counts.delete(domainId)
  }

  return {
    async add(route, how) {
      const { session, filter } = route
      const { group } = parseFilter(filter)
      const before = session.subscriptions.get(filter)
      await (group === undefined ? routesOf(session).add(route, how) : shares.add(route, group))
      // Not of a session that has ended meanwhile.
      if (!before && session.subscriptions.get(filter) === route) count(session, 1)
    },
    countOf: (domainId) => counts.get(domainId) ?? 0,
    remove(session, filter) {
      const route = session.subscriptions.get(filter)
      if (!route) return false
      count(session, -1)
      if (parseFilter(filter).group === undefined) return routesOf(session).remove(session, filter)
      session.subscriptions.delete(filter)
      shares.remove(route)
      return true
    },
  }
}
