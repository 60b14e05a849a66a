import type { Bus } from '../platform/bus/connect.ts'
import type { JetStreamWatch } from '../platform/bus/jetstream-watch.ts'
import type { Publisher } from '../platform/bus/publisher.ts'
import type { Metrics } from '../platform/metrics.ts'

/** How the process stands with NATS. */
export function showBus(metrics: Metrics, bus: Bus, publisher: Publisher, jetStream: JetStreamWatch): void {
  const reconnects = metrics.counter(
    'sluice_bus_reconnects_total',
    'Times that the connection to NATS was lost and made again',
  )
  bus.onReconnect(() => (reconnects.value += 1))
  metrics.gauge('sluice_bus_connected', 'Whether the process is connected to NATS', () =>
    bus.isConnected ? 1 : 0,
  )
  metrics.gauge('sluice_jetstream_answers', 'Whether JetStream has answered in the last seconds', () =>
    jetStream.answers ? 1 : 0,
  )
  metrics.gauge(
    'sluice_publisher_waiting_messages',
    'Messages that wait for the acknowledgement of JetStream',
    () => publisher.waiting.messages,
  )
  metrics.gauge(
    'sluice_publisher_waiting_bytes',
    'Payloads of the messages that wait for the acknowledgement of JetStream',
    () => publisher.waiting.bytes,
  )
}
