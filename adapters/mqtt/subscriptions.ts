import type { Routes } from './routes.ts'
import { parseFilter } from './shared-filter.ts'
import type { Shares } from './shared.ts'
import type { Route, Session } from './sessions.ts'

/** The subscriptions of all sessions of this process, each where its messages come from. */
export interface Subscriptions {
  /**
   * Waits until the bus delivers here, then lets the route have its messages; replaces the session's with the same filter.
   *
   * @throws {Unavailable} the bus is away
   */
  add(route: Route): Promise<void>
  /** @returns whether there was one */
  remove(session: Session, filter: string): boolean
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
  return {
    add(route) {
      const { group } = parseFilter(route.filter)
      return group === undefined ? routesOf(route.session).add(route) : shares.add(route, group)
    },
    remove(session, filter) {
      const route = session.subscriptions.get(filter)
      if (!route) return false
      if (parseFilter(filter).group === undefined) return routesOf(session).remove(session, filter)
      session.subscriptions.delete(filter)
      shares.remove(route)
      return true
    },
  }
}
