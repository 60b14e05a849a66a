import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client'

/** A number that is cheap to move: it becomes a metric only when somebody reads `/metrics`. */
export interface Tally {
  value: number
}

export interface Metrics {
  readonly registry: Registry
  /** Messages from devices that JetStream has on file; what could not be stored is among the refused. */
  received(protocol: string): Tally
  /** Messages handed to subscribers' connections. */
  delivered(protocol: string): Tally
  /** Connections open now. */
  connections(protocol: string): Tally
  /** Requests, packets, frames and connections that were refused. Reasons come from a closed set, never from input. */
  refused(protocol: string, reason: string): Tally
}

/**
 * The process's metrics. Counting per message goes through a plain number, because a labelled prom-client counter hashes its
 * labels at every step.
 */
export function createMetrics(): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  return {
    registry,
    received: tallies(
      (collect) =>
        new Counter({
          name: 'sluice_messages_received_total',
          help: 'Messages from devices that JetStream has acknowledged',
          labelNames: ['protocol'],
          registers: [registry],
          collect,
        }),
      ['protocol'],
    ),
    delivered: tallies(
      (collect) =>
        new Counter({
          name: 'sluice_messages_delivered_total',
          help: 'Messages handed to subscribers',
          labelNames: ['protocol'],
          registers: [registry],
          collect,
        }),
      ['protocol'],
    ),
    connections: tallies(
      (collect) =>
        new Gauge({
          name: 'sluice_connections',
          help: 'Connections open now',
          labelNames: ['protocol'],
          registers: [registry],
          collect,
        }),
      ['protocol'],
    ),
    refused: tallies(
      (collect) =>
        new Counter({
          name: 'sluice_refused_total',
          help: 'Requests, packets, frames and connections refused, by reason',
          labelNames: ['protocol', 'reason'],
          registers: [registry],
          collect,
        }),
      ['protocol', 'reason'],
    ),
  }
}

/** One tally for each combination of label values, made when first asked for. */
function tallies<L extends string>(
  create: (collect: () => void) => Counter<L> | Gauge<L>,
  labelNames: readonly L[],
): (...labels: string[]) => Tally {
  const known = new Map<string, { tally: Tally; labels: Record<L, string> }>()
  const metric = create(() => {
    metric.reset()
    for (const { tally, labels } of known.values()) metric.inc(labels, tally.value)
  })
  return (...values) => {
    const key = values.join('\n')
    let entry = known.get(key)
    if (!entry) {
      const pairs = labelNames.map((name, index) => [name, values[index] ?? ''])
      entry = { tally: { value: 0 }, labels: Object.fromEntries(pairs) as Record<L, string> }
      known.set(key, entry)
    }
    return entry.tally
  }
}
