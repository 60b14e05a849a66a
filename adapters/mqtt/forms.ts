import type { Message } from '../../platform/bus/message.ts'
import { FilterIndex } from '../filter-index.ts'
import { bookmarkOf } from './bookmarks.ts'
import { matchOf, merge, suffixOf, toDelivery, wants } from './deliveries.ts'
import type { Common, Match } from './deliveries.ts'
import { sendAhead } from './retained-delivery.ts'
import type { Route, Session } from './sessions.ts'

/** Subscriptions that share a channel and the way of writing it. */
export class Form {
  readonly #prefix: string
  /** Filters without wildcards, by what stands behind the prefix. */
  readonly #exact = new Map<string, Set<Route>>()
  readonly #wildcard = new FilterIndex<Route>()

  constructor(prefix: string) {
    this.#prefix = prefix
  }

  get isEmpty(): boolean {
    return this.#exact.size === 0 && this.#wildcard.width === 0
  }

  /** Look-ups beside the first that a message costs at the most. */
  get width(): number {
    return this.#wildcard.width
  }

  /** Whether a filter with wildcards leaves {@link width} as it is. */
  hasShapeOf(levels: readonly string[]): boolean {
    return this.#wildcard.hasShapeOf(levels)
  }

  add(route: Route): void {
    if (!isExact(route.levels)) return this.#wildcard.add(route.levels, route)
    const suffix = suffixOf(route.levels)
    const exact = this.#exact.get(suffix)
    if (exact) exact.add(route)
    else this.#exact.set(suffix, new Set([route]))
  }

  delete(route: Route): void {
    if (!isExact(route.levels)) return this.#wildcard.delete(route.levels, route)
    const suffix = suffixOf(route.levels)
    const exact = this.#exact.get(suffix)
    if (exact?.delete(route) && exact.size === 0) this.#exact.delete(suffix)
  }

  /** Routes that a message was promised to, or any, where it is not known which one it was. */
  *owed(message: Message | undefined): Iterable<Route> {
    if (!message) {
      for (const routes of [...this.#exact.values(), this.#wildcard.all()])
        for (const route of routes) if (route.qos > 0) yield route
      return
    }
    const exact = this.#exact.get(suffixOf(message.levels)) ?? []
    for (const routes of [exact, ...this.#wildcard.find(message.levels)]) {
      for (const route of routes) {
        if (wants(route, message) && matchOf(route, message, 0).qos > 0) yield route
      }
    }
  }

  deliver(message: Message, common: Common, seq: number): void {
    const suffix = suffixOf(message.levels)
    const topic = this.#prefix + suffix
    const exact = this.#exact.get(suffix)
    if (exact && this.#wildcard.width === 0 && exact.size === 1) {
      // The usual case, one device on its own topic, costs no map.
      for (const route of exact) {
        if (!admits(route, message, seq)) continue
        const match = matchOf(route, message, seq)
        route.session.outbox.deliver(toDelivery(topic, message, match, common))
      }
      return
    }
    const matches = new Map<Session, Match>()
    if (exact) collect(matches, exact, message, seq)
    for (const routes of this.#wildcard.find(message.levels)) collect(matches, routes, message, seq)
    for (const [session, match] of matches) session.outbox.deliver(toDelivery(topic, message, match, common))
  }
}

export function isExact(levels: readonly string[]): boolean {
  return !levels.includes('+') && levels.at(-1) !== '#'
}

function collect(
  matches: Map<Session, Match>,
  routes: ReadonlySet<Route>,
  message: Message,
  seq: number,
): void {
  for (const route of routes) {
    if (admits(route, message, seq)) merge(matches, route.session, matchOf(route, message, seq))
  }
}

function admits(route: Route, message: Message, seq: number): boolean {
  if (!wants(route, message) || (route.place && !takes(route, message, seq))) return false
  if (route.owed) sendAhead(route, message.levels)
  return true
}

/** Whether a session that reads from the stream takes this message now, rather than later from there. */
function takes({ session, place, since }: Route, message: Message, seq: number): boolean {
  if (!place || seq <= since) return false
  const bookmark = bookmarkOf(place, message.levels)
  if (seq <= bookmark.at) return false
  // Decided once a message, whatever number of filters match: `newest` is the last one decided on.
  if (bookmark.isLive && bookmark.newest !== seq && session.leavesInStream) {
    bookmark.at = seq - 1
    bookmark.isLive = false
    session.onBehind(bookmark)
  }
  bookmark.newest = seq
  return bookmark.isLive
}
