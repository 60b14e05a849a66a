import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

/** A number that is cheap to move: it becomes a metric only when somebody reads `/metrics`. */
export interface Tally {
  value: number
}

/** What is known now; nothing when it is not. */
type Reading = () => number | undefined | Promise<number | undefined>

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
  /** A counter of a name of its own; asked for again with other labels, one more of the same. */
  counter(name: string, help: string, labels?: Labels): Tally
  /** A number that somebody else keeps, read when somebody reads `/metrics`. What it throws leaves the number out. */
  gauge(name: string, help: string, read: Reading, labels?: Labels): void
  /**
   * Takes the time from a message's arrival at a gateway to its delivery.
   *
   * @returns to be called for every message: it looks at one of eight, and at one in a millisecond, since a look at the
   *   clock is what costs most here
   */
  delivery(protocol: string): (receivedAtNs: bigint) => void
}

/** Of bounded cardinality, always: never a domain, a client or a topic. */
type Labels = Readonly<Record<string, string>>

const DELIVERY_BUCKETS_S = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/**
 * The process's metrics. Counting per message goes through a plain number, because a labelled prom-client counter hashes its
 * labels at every step.
 */
export function createMetrics(): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const families = new Map<string, Family>()
  const histogram = new Histogram({
    name: 'sluice_delivery_seconds',
    help: 'From the arrival of a message at a gateway to its delivery, for those that did not wait in a session',
    labelNames: ['protocol'],
    buckets: DELIVERY_BUCKETS_S,
    registers: [registry],
  })

  function family(kind: 'counter' | 'gauge', name: string, help: string, labels: Labels): Family {
    let known = families.get(name)
    if (!known) {
      known = createFamily(registry, kind, name, help, Object.keys(labels))
      families.set(name, known)
    }
    return known
  }

  function tally(kind: 'counter' | 'gauge', name: string, help: string, labels: Labels): Tally {
    const tallies = family(kind, name, help, labels).tallies
    const key = Object.values(labels).join('\n')
    let entry = tallies.get(key)
    if (!entry) {
      entry = { tally: { value: 0 }, labels }
      tallies.set(key, entry)
    }
    return entry.tally
  }

  return {
    registry,
    received: (protocol) =>
      tally('counter', 'sluice_messages_received_total', 'Messages that JetStream has acknowledged', {
        protocol,
      }),
    delivered: (protocol) =>
      tally('counter', 'sluice_messages_delivered_total', 'Messages handed to subscribers', { protocol }),
    connections: (protocol) => tally('gauge', 'sluice_connections', 'Connections open now', { protocol }),
    refused: (protocol, reason) =>
      tally(
        'counter',
        'sluice_refused_total',
        'Requests, packets, frames and connections refused, by reason',
        {
          protocol,
          reason,
        },
      ),
    counter: (name, help, labels = {}) => tally('counter', name, help, labels),
    gauge(name, help, read, labels = {}) {
      family('gauge', name, help, labels).readings.push({ read, labels })
    },
    delivery(protocol) {
      const child = histogram.labels(protocol)
      let last = 0
      let calls = 0
      return (receivedAtNs) => {
        calls = (calls + 1) & 7
        if (calls !== 1) return
        const now = Date.now()
        if (now === last) return
        last = now
        // The clocks of two machines may be apart.
        child.observe(Math.max(0, now - Number(receivedAtNs / 1_000_000n)) / 1_000)
      }
    },
  }
}

/** All numbers of one name. */
interface Family {
  /** By the values of their labels. */
  readonly tallies: Map<string, { readonly tally: Tally; readonly labels: Labels }>
  readonly readings: { readonly read: Reading; readonly labels: Labels }[]
}

function createFamily(
  registry: Registry,
  kind: 'counter' | 'gauge',
  name: string,
  help: string,
  labelNames: string[],
): Family {
  const family: Family = { tallies: new Map(), readings: [] }
  const metric = new (kind === 'counter' ? Counter : Gauge)({
    name,
    help,
    labelNames,
    registers: [registry],
    async collect() {
      const read = await Promise.all(
        family.readings.map(async (each) => ({ ...each, value: await valueOf(each) })),
      )
      metric.reset()
      // Which leaves a zero where there are no labels; what is not known is not zero.
      if (labelNames.length === 0) metric.remove()
      for (const { tally, labels } of family.tallies.values()) metric.inc(labels, tally.value)
      for (const { value, labels } of read) if (value !== undefined) metric.inc(labels, value)
    },
  })
  return family
}

async function valueOf({ read }: { readonly read: Reading }): Promise<number | undefined> {
  try {
    return await read()
  } catch {
    return undefined
  }
}
