import { z } from 'zod'
import type { Bus } from './connect.ts'

const BusEvent = z.object({
  id: z.string(),
  /** `<entity>.<verb>`, such as `channel.disconnect`. */
  operation: z.string(),
  /** `null` for what belongs to no domain: users. */
  domain_id: z.string().nullable(),
  entity_type: z.string(),
  entity_id: z.string(),
  actor_id: z.string().nullable(),
  /** RFC 3339. */
  occurred_at: z.string(),
  attributes: z.record(z.string(), z.unknown()).default({}),
})

/** A committed change of an entity, announced on `events.<domain id or _>.<operation>`. */
export type BusEvent = z.infer<typeof BusEvent>

/** Subject on which an event is announced. */
export function eventSubject(event: Pick<BusEvent, 'operation' | 'domain_id'>): string {
  return `events.${event.domain_id ?? '_'}.${event.operation}`
}

/**
 * Calls back with each announcement that passes while we are connected. What passed while we were not is missed: see
 * `bus.onReconnect`. Whoever must miss nothing reads the stream `events`.
 *
 * @returns `ready` resolves when the server has the subscription
 */
export function subscribeEvents(
  bus: Bus,
  listener: (event: BusEvent) => void,
): { readonly ready: Promise<void>; stop(): void } {
  const subscription = bus.connection.subscribe('events.>', {
    callback(error, msg) {
      if (error) {
        bus.log.error({ err: error }, 'subscription to events failed')
        return
      }
      try {
        listener(BusEvent.parse(msg.json()))
      } catch (thrown) {
        bus.log.error({ err: thrown, subject: msg.subject }, 'event could not be taken')
      }
    },
  })
  const ready = bus.flush()
  ready.catch(() => undefined)
  return { ready, stop: () => subscription.unsubscribe() }
}
