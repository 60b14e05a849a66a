import { commonOf, suffixOf } from './deliveries.ts'
import type { RetainedMessage, RetainedStore } from './retained-store.ts'
import type { Route, Session } from './sessions.ts'

/** Notes that these are to be sent, so that whoever goes on with the session does it; to be on file before SUBACK. */
export function oweRetained(route: Route, found: readonly RetainedMessage[]): void {
  const [first, last] = [found[0], found.at(-1)]
  if (first && last && route.session.isDurable) route.owed = { from: first.seq, to: last.seq }
}

/** @param found in the order of their places */
export function sendRetained(route: Route, found: readonly RetainedMessage[]): void {
  const { session, filter, prefix, identifier } = route
  for (const { message, seq } of found) {
    // First: the session may be written as soon as the outbox has it, and must not owe it beside.
    if (route.owed) route.owed = { ...route.owed, from: seq + 1 }
    session.outbox.deliver({
      topic: prefix + suffixOf(message.levels),
      payload: message.payload,
      qos: Math.min(route.qos, message.qos) as 0 | 1 | 2,
      retain: true, // [MQTT-3.3.1-8]
      identifiers: identifier === 0 ? [] : [identifier],
      retained: session.isDurable ? { seq, filter } : undefined,
      ...commonOf(message),
    })
  }
  route.owed = undefined
}

/**
 * The rest of what SUBSCRIBE has asked for, to a client that is back. What was replaced or taken away meanwhile has come by
 * its own way, from the stream of messages.
 *
 * @throws {Unavailable} it is owed as before
 */
export async function sendOwed(retained: RetainedStore, session: Session): Promise<void> {
  // Those of now: a SUBSCRIBE that comes meanwhile sends its own.
  const owing = [...session.subscriptions.values()].filter(({ owed }) => owed)
  for (const route of owing) {
    const { owed, grant, levels } = route
    if (!owed) continue
    const found = grant.isAllowed ? await retained.find(grant.channel.channelId, levels) : []
    if (session.isEnded) return
    sendRetained(
      route,
      found.filter(({ seq }) => seq >= owed.from && seq <= owed.to),
    )
  }
}
