import { Unavailable } from '../errors.ts'
import type { Bus } from './connect.ts'

/** How a client was seen. */
export type SeenOver = 'mqtt' | 'ws' | 'http'

/** What has changed about a client being there, announced on `presence.<domain id>.<client id>`. */
export interface PresenceEvent {
  /**
   * `connected` and `disconnected`: it has opened its first connection, or lost its last one, of all processes. `seen`: it
   * has published over HTTP while it had no connection; told every few seconds at most.
   */
  readonly event: 'connected' | 'disconnected' | 'seen'
  readonly client_id: string
  readonly domain_id: string
  readonly protocol: SeenOver
  /** The process to which it was connected. */
  readonly node: string
  /** RFC 3339. */
  readonly at: string
  /** How many it has now, on all processes. */
  readonly connections: number
}

/** Subject on which changes of a client's presence are announced. */
export function presenceSubject(event: Pick<PresenceEvent, 'domain_id' | 'client_id'>): string {
  return `presence.${event.domain_id}.${event.client_id}`
}

/**
 * Announces, to whoever listens now, and waits until the server has it: what another process announces after that comes after.
 *
 * @throws {Unavailable} perhaps nobody has heard it
 */
export async function announcePresence(bus: Bus, events: readonly PresenceEvent[]): Promise<void> {
  if (events.length === 0) return
  if (!bus.isConnected) throw new Unavailable('the bus is disconnected')
  for (const event of events) bus.connection.publish(presenceSubject(event), JSON.stringify(event))
  await bus.flush()
}
