import { randomUUID } from 'node:crypto'
import type { Logger } from '../platform/log.ts'

/** What one client did since the last report that came through, and what it is subscribed to now. */
export interface ClientTraffic {
  readonly clientId: string
  /** Messages handed to it since. */
  readonly delivered: number
  readonly subscriptions: number
}

/** What one process tells of its clients. */
export interface TrafficReport {
  /** The process; a new one after each start. */
  readonly node: string
  /** Counts the reports of the process: one that comes twice counts once. */
  readonly number: number
  /** Those of which something has changed. */
  readonly clients: readonly ClientTraffic[]
}

/** Where reports go. Implemented by the management services; plain JSON, so that it can cross NATS. */
export interface TrafficSink {
  report(report: TrafficReport): Promise<void>
}

/** The part of one connection in what its client does. */
export interface Usage {
  /** Messages handed to the client so far, over all its connections: to be counted up. */
  readonly client: { delivered: number }
  /** The connection is gone. */
  readonly end: () => void
}

export interface Traffic {
  /** @param countSubscriptions asked at each report for those of this connection */
  begin(clientId: string, countSubscriptions: () => number): Usage
  /** Reports what is left, once. */
  stop(): Promise<void>
}

interface Entry {
  delivered: number
  deliveredReported: number
  subscriptionsReported: number
  readonly counters: Set<() => number>
}

const INTERVAL_MS = 5_000
/** About 100 bytes each on the bus. */
const MAX_CLIENTS_PER_REPORT = 2_000

/**
 * Counts deliveries and subscriptions by client, and reports them every few seconds. Counting a message is one addition. What
 * could not be reported is reported later; a process that dies takes with it what it counted since its last report.
 */
export function startTraffic({
  sink,
  log,
  intervalMs = INTERVAL_MS,
}: {
  sink: TrafficSink
  log: Logger
  intervalMs?: number
}): Traffic {
  const node = randomUUID()
  const entries = new Map<string, Entry>()
  let number = 0
  /** Sent again as it is until it is answered: the other side may have it already. */
  let unanswered: TrafficReport | undefined
  let running: Promise<void> | undefined
  let isFailing = false

  /** @returns the next report; empty when nothing has changed, to say that the process is there */
  function collect(): TrafficReport {
    const clients: ClientTraffic[] = []
    for (const [clientId, entry] of entries) {
      let subscriptions = 0
      for (const count of entry.counters) subscriptions += count()
      const delivered = entry.delivered - entry.deliveredReported
      if (delivered !== 0 || subscriptions !== entry.subscriptionsReported) {
        clients.push({ clientId, delivered, subscriptions })
        entry.deliveredReported = entry.delivered
        entry.subscriptionsReported = subscriptions
        if (clients.length === MAX_CLIENTS_PER_REPORT) break
      }
      if (entry.counters.size === 0) entries.delete(clientId)
    }
    return { node, number: (number += 1), clients }
  }

  async function report(): Promise<void> {
    try {
      let hasMore = true
      while (hasMore) {
        unanswered ??= collect()
        await sink.report(unanswered)
        hasMore = unanswered.clients.length === MAX_CLIENTS_PER_REPORT
        unanswered = undefined
        isFailing = false
      }
    } catch (error) {
      // Said once an outage; nothing is lost by it.
      if (!isFailing) log.warn({ err: error }, 'traffic of clients could not be reported; trying again')
      isFailing = true
    }
  }

  const flush = () => (running ??= report().finally(() => (running = undefined)))
  const timer = setInterval(() => {
    if (entries.size > 0 || unanswered) void flush()
  }, intervalMs)

  return {
    begin(clientId, countSubscriptions) {
      let entry = entries.get(clientId)
      if (!entry) {
        entry = { delivered: 0, deliveredReported: 0, subscriptionsReported: 0, counters: new Set() }
        entries.set(clientId, entry)
      }
      const { counters } = entry
      counters.add(countSubscriptions)
      return {
        client: entry,
        end: () => {
          counters.delete(countSubscriptions)
        },
      }
    },

    async stop() {
      clearInterval(timer)
      await running
      if (entries.size > 0 || unanswered) await flush()
    },
  }
}
