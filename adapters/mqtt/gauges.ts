import type { Metrics, Tally } from '../../platform/metrics.ts'
import type { Peer, Transport } from './peer.ts'
import type { RetainedStore } from './retained-store.ts'
import type { SessionStore } from './session-store.ts'
import type { Session } from './sessions.ts'

const TRANSPORTS: readonly Transport[] = ['tcp', 'tls', 'ws']

/** @returns to be counted up for each client that was let in */
export function showConnections(metrics: Metrics, connections: ReadonlySet<Peer>): Record<Transport, Tally> {
  for (const transport of TRANSPORTS) {
    const count = () => {
      let open = 0
      for (const { info, session } of connections) if (session && info.transport === transport) open += 1
      return open
    }
    metrics.gauge('sluice_mqtt_connections', 'MQTT connections of signed-in clients', count, { transport })
  }
  const connects = (transport: Transport) =>
    metrics.counter('sluice_mqtt_connects_total', 'MQTT clients that were let in', { transport })
  return { tcp: connects('tcp'), tls: connects('tls'), ws: connects('ws') }
}

/** What sessions hold, counted when somebody reads: keeping it counted would cost every message. */
export function showHoldings(metrics: Metrics, sessions: SessionStore, retained: RetainedStore): void {
  const sum = (read: (session: Session) => number) => () => {
    let total = 0
    for (const session of sessions.all()) total += read(session)
    return total
  }
  const queued = 'Messages of QoS 1 and 2 that sessions hold'
  metrics.gauge(
    'sluice_mqtt_queued_messages',
    queued,
    sum(({ outbox }) => outbox.size.waiting),
    { state: 'waiting' },
  )
  metrics.gauge(
    'sluice_mqtt_queued_messages',
    queued,
    sum(({ outbox }) => outbox.size.inFlight),
    { state: 'in_flight' },
  )
  metrics.gauge('sluice_mqtt_queued_bytes', 'What those messages cost in memory', () => sessions.heldBytes())
  metrics.gauge('sluice_mqtt_retained_messages', 'Retained messages', () => retained.size.messages)
  metrics.gauge('sluice_mqtt_retained_bytes', 'Payloads of the retained messages', () => retained.size.bytes)
}
