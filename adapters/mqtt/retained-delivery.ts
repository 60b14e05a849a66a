import type { Logger } from '../../platform/log.ts'
import type { Message } from '../../platform/bus/message.ts'
import { commonOf, suffixOf } from './deliveries.ts'
import type { Delivery } from './encode.ts'
import type { Qos } from './packets.ts'
import type { RetainedMessage, RetainedStore } from './retained-store.ts'
import type { Route, Session } from './sessions.ts'

/** Where retained messages are looked up. */
export interface RetainedSource {
  readonly retained: RetainedStore
  readonly log: Logger
}

/** A retained message that is to be sent: not its payload, which a client that takes its time would keep in memory. */
interface Place {
  readonly levels: readonly string[]
  readonly seq: number
}

/** Places kept for one client at a time: less than waits for it in the socket. */
const MAX_PLACES = 2_000
const RETRY_MS = 500

/** Notes that these are to be sent, so that whoever goes on with the session does it; to be on file before SUBACK. */
export function oweRetained(route: Route, found: readonly RetainedMessage[]): void {
  const [first, last] = [found[0], found.at(-1)]
  if (first && last) route.owed = { from: first.seq, to: last.seq }
}

/**
 * What there is room for goes out at once, the rest as the client takes it.
 *
 * @param found in the order of their places
 */
export function sendRetained(source: RetainedSource, route: Route, found: readonly RetainedMessage[]): void {
  for (const each of found) {
    if (route.session.outbox.isFull) return keepSending(source, route)
    send(route, each.seq, each)
  }
  route.owed = undefined
}

/**
 * The rest of what SUBSCRIBE has asked for, to a client that is back. What was replaced or taken away meanwhile has come by
 * its own way, from the stream of messages.
 */
export function sendOwed(source: RetainedSource, session: Session): void {
  for (const route of session.subscriptions.values()) if (route.owed) keepSending(source, route)
}

/**
 * A newer message of the topic is about to be sent: the retained one, if it is still to come, goes ahead of it. Sessions that
 * can leave the newer one in the stream do that instead.
 */
export function sendAhead(route: Route, levels: readonly string[]): void {
  const { owed, grant, session } = route
  const found = owed && session.owing?.retained.get(grant.channel, levels)
  if (!found || found.seq < owed.from || found.seq > owed.to || route.ahead?.has(found.seq)) return
  route.ahead ??= new Set()
  route.ahead.add(found.seq)
  session.outbox.deliver(deliveryOf(route, found))
}

const qosOf = (route: Route, message: Message): Qos => Math.min(route.qos, message.qos) as Qos

function deliveryOf(route: Route, { message, seq }: RetainedMessage): Delivery {
  const { filter, prefix, identifier } = route
  return {
    topic: prefix + suffixOf(message.levels),
    payload: message.payload,
    qos: qosOf(route, message),
    retain: true, // [MQTT-3.3.1-8]
    identifiers: identifier === 0 ? [] : [identifier],
    retained: { seq, filter },
    ...commonOf(message),
  }
}

/** @param found what is to be sent for that place, if anything */
function send(route: Route, seq: number, found: RetainedMessage | undefined): void {
  // First: the session may be written as soon as the outbox has it, and must not owe it beside.
  if (route.owed) route.owed = { ...route.owed, from: seq + 1 }
  const wasAhead = route.ahead?.delete(seq)
  if (found && !wasAhead) route.session.outbox.take(deliveryOf(route, found))
}

/** One subscription of a session after the other: so one has a list of places, and the others no more than where they stand. */
function keepSending(source: RetainedSource, route: Route): void {
  const { session } = route
  if (session.owing) {
    session.owing.routes.push(route)
    return
  }
  const routes = [route]
  const done = Promise.resolve().then(() => sendAll(source, session, routes))
  session.owing = { routes, retained: source.retained, done }
}

/** @param routes more may be added meanwhile */
async function sendAll(source: RetainedSource, session: Session, routes: readonly Route[]): Promise<void> {
  for (const route of routes) {
    while (isOwed(route)) {
      try {
        await sendPortion(source.retained, route)
      } catch (error) {
        source.log.debug({ err: error }, 'sending of retained messages interrupted')
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
  }
  // Here, so that none is added that nobody comes to.
  session.owing = undefined
}

/** Not after the end of the connection, or UNSUBSCRIBE, or a SUBSCRIBE that has asked anew. */
function isOwed(route: Route): boolean {
  const { session, filter, owed } = route
  return owed !== undefined && !session.isEnded && session.subscriptions.get(filter) === route
}

/** @throws {Unavailable} it is owed as before */
async function sendPortion(retained: RetainedStore, route: Route): Promise<void> {
  const { grant, session } = route
  const { places, isLast } = await findPlaces(retained, route)
  for (const { levels, seq } of places) {
    while (session.outbox.isFull && isOwed(route)) await session.outbox.room()
    if (!isOwed(route)) return
    const found = retained.get(grant.channel, levels)
    send(route, seq, found && grant.isAllowed && stands(route, found, seq) ? found : undefined)
  }
  if (isLast) route.owed = undefined
}

/** Whether that is what is to be sent for a place. What has replaced it comes by its own way. */
function stands(route: Route, { message, seq }: RetainedMessage, place: number): boolean {
  if (seq === place) return true
  // But for QoS 0, where it was left in the stream meanwhile, out of which "at most once" is brought to nobody.
  return route.session.isDurable && qosOf(route, message) === 0
}

async function findPlaces(
  retained: RetainedStore,
  { owed, grant, levels }: Route,
): Promise<{ places: Place[]; isLast: boolean }> {
  if (!owed || !grant.isAllowed) return { places: [], isLast: true }
  const found = await retained.find(grant.channel, levels)
  const rest = found.filter(({ seq }) => seq >= owed.from && seq <= owed.to)
  const places = rest.slice(0, MAX_PLACES).map(({ message, seq }) => ({ levels: message.levels, seq }))
  return { places, isLast: rest.length <= MAX_PLACES }
}
