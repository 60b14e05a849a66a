import type { Logger } from '../platform/log.ts'
import type { SeenOver } from '../platform/bus/presence.ts'

/** What one client did since the last report that came through, and what it has open now. */
export interface ClientTraffic {
  readonly clientId: string
  /** Messages handed to it since. */
  readonly delivered: number
  readonly subscriptions: number
  /** To this process. */
  readonly connections: number
  /** Only where it has opened or lost a connection since, or has published without one. */
  readonly seen?: Sighting | undefined
}

export interface Sighting {
  /** Of the connection it has; of the last one, or of what it did without one, where it has none. */
  readonly protocol: SeenOver
  /** Milliseconds since the epoch. */
  readonly atMs: number
  /** Whether it has opened a connection, which may be gone again. */
  readonly hasConnected: boolean
}

/** What one process tells of its clients. */
export interface TrafficReport {
  /** The process; a new one after each start. */
  readonly node: string
  /** Counts the reports of the process: one that comes twice counts once. */
  readonly number: number
  /** Whether it begins anew: this report and those after it tell of all connections, whatever was told before. */
  readonly isWhole: boolean
  /** Those of which something has changed. */
  readonly clients: readonly ClientTraffic[]
}

/** Where reports go. Implemented by the management services; plain JSON, so that it can cross NATS. */
export interface TrafficSink {
  /** @returns `wantsAll`: the process was taken for gone meanwhile, and is to tell of all its connections again */
  report(report: TrafficReport): Promise<{ readonly wantsAll: boolean }>
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
  begin(clientId: string, protocol: SeenOver, countSubscriptions: () => number): Usage
  /** The client has published over HTTP. */
  noteRequest(clientId: string): void
  /** The client was handed a message over something that is no connection of its own, and says nothing of its being there. */
  noteDelivery(clientId: string): void
  /** Reports what is left, once. */
  stop(): Promise<void>
}

interface Link {
  readonly protocol: SeenOver
  readonly countSubscriptions: () => number
}

interface Entry {
  delivered: number
  deliveredReported: number
  subscriptionsReported: number
  /** In the order of their opening. */
  readonly links: Set<Link>
  /** Without links: over which it was seen last. */
  protocol: SeenOver
  /** 0 when there is nothing new to tell. */
  seenAtMs: number
  hasConnected: boolean
}

const INTERVAL_MS = 5_000
/** How long a change of presence waits for others to go along. */
const GATHER_MS = 200
/** About 200 bytes each on the bus. */
const MAX_CLIENTS_PER_REPORT = 2_000

/**
 * Knows which clients are connected to this process, and counts their deliveries and subscriptions. Connections that come and
 * go are reported at once, the rest every few seconds. Counting a message is one addition. What could not be reported is
 * reported later; a process that dies takes with it what it counted since its last report.
 *
 * @param options.node what the others know this process by
 */
export function startTraffic({
  node,
  sink,
  log,
  intervalMs = INTERVAL_MS,
}: {
  node: string
  sink: TrafficSink
  log: Logger
  intervalMs?: number
}): Traffic {
  const entries = new Map<string, Entry>()
  /** Clients of which is not told yet that a connection has come or gone. */
  const changed = new Set<string>()
  let number = 0
  let isWhole = true
  /** Sent again as it is until it is answered: the other side may have it already. */
  let unanswered: TrafficReport | undefined
  let running: Promise<void> | undefined
  let gathering: NodeJS.Timeout | undefined
  let isFailing = false
  let isStopping = false

  function entryOf(clientId: string): Entry {
    let entry = entries.get(clientId)
    if (!entry) {
      entry = {
        delivered: 0,
        deliveredReported: 0,
        subscriptionsReported: 0,
        links: new Set(),
        protocol: 'http',
        seenAtMs: 0,
        hasConnected: false,
      }
      entries.set(clientId, entry)
    }
    return entry
  }

  /** @returns the next report; empty when nothing has changed, to say that the process is there */
  function collect(clientIds: Iterable<string>): TrafficReport {
    const clients: ClientTraffic[] = []
    for (const clientId of clientIds) {
      changed.delete(clientId)
      const entry = entries.get(clientId)
      if (!entry) continue
      const told = tell(clientId, entry)
      if (entry.links.size === 0) entries.delete(clientId)
      if (told && clients.push(told) === MAX_CLIENTS_PER_REPORT) break
    }
    const report = { node, number: (number += 1), isWhole, clients }
    isWhole = false
    return report
  }

  async function report(which: ReadonlySet<string> | typeof entries): Promise<void> {
    let clientIds = which
    try {
      let hasMore = true
      while (hasMore) {
        const isRepeated = unanswered !== undefined
        unanswered ??= collect(clientIds.keys())
        const { wantsAll } = await sink.report(unanswered)
        hasMore = isRepeated || unanswered.clients.length === MAX_CLIENTS_PER_REPORT
        unanswered = undefined
        isFailing = false
        if (wantsAll) {
          for (const entry of entries.values()) forget(entry)
          isWhole = true
          clientIds = entries
          hasMore = true
        }
      }
    } catch (error) {
      // Said once an outage; nothing is lost by it.
      if (!isFailing) log.warn({ err: error }, 'traffic of clients could not be reported; trying again')
      isFailing = true
    }
  }

  function flush(which: ReadonlySet<string> | typeof entries): Promise<void> {
    running ??= report(which).finally(() => {
      running = undefined
      // What changed while that was on its way. After a failure it goes with the next try.
      if (changed.size > 0 && !isFailing) gather()
    })
    return running
  }

  function gather(): void {
    if (isStopping) return
    gathering ??= setTimeout(() => {
      gathering = undefined
      void flush(changed)
    }, GATHER_MS)
  }

  const timer = setInterval(() => {
    if (entries.size > 0 || unanswered) void flush(entries)
  }, intervalMs)

  return {
    begin(clientId, protocol, countSubscriptions) {
      const entry = entryOf(clientId)
      const link = { protocol, countSubscriptions }
      entry.links.add(link)
      entry.hasConnected = true
      const change = (): void => {
        entry.seenAtMs = Date.now()
        entry.protocol = protocol
        changed.add(clientId)
        gather()
      }
      change()
      return {
        client: entry,
        end: () => {
          if (entry.links.delete(link)) change()
        },
      }
    },

    noteRequest(clientId) {
      const entry = entryOf(clientId)
      // A connection, or the end of one that is not told yet, says more.
      if (entry.seenAtMs === 0 && entry.links.size === 0) entry.protocol = 'http'
      entry.seenAtMs = Date.now()
    },

    noteDelivery(clientId) {
      entryOf(clientId).delivered += 1
    },

    async stop() {
      isStopping = true
      clearInterval(timer)
      clearTimeout(gathering)
      await running
      if (entries.size > 0 || unanswered) await flush(entries)
    },
  }
}

/** @returns what is new of the client, which counts as told from then on */
function tell(clientId: string, entry: Entry): ClientTraffic | undefined {
  let subscriptions = 0
  for (const link of entry.links) {
    subscriptions += link.countSubscriptions()
    // In the end that of the one opened last.
    entry.protocol = link.protocol
  }
  const delivered = entry.delivered - entry.deliveredReported
  const { protocol, seenAtMs: atMs, hasConnected } = entry
  if (delivered === 0 && subscriptions === entry.subscriptionsReported && atMs === 0) return undefined
  entry.deliveredReported = entry.delivered
  entry.subscriptionsReported = subscriptions
  entry.seenAtMs = 0
  entry.hasConnected = false
  const seen = atMs === 0 ? undefined : { protocol, atMs, hasConnected }
  return { clientId, delivered, subscriptions, connections: entry.links.size, seen }
}

/** Its connections count as not told. */
function forget(entry: Entry): void {
  if (entry.links.size === 0) return
  entry.subscriptionsReported = 0
  entry.seenAtMs ||= Date.now()
}
