import type { Bus } from '../../platform/bus/connect.ts'
import { announcePresence } from '../../platform/bus/presence.ts'
import type { PresenceEvent } from '../../platform/bus/presence.ts'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { transact } from '../../platform/db/transact.ts'
import * as repository from './presence-repository.ts'
import type { Standing, StandingChange } from './presence-repository.ts'
import type { NodeReport } from './types.ts'

export type Presence = ReturnType<typeof createPresence>

/** A process that is there and has clients reports more often. */
const SILENCE_S = 5
/** Clients of a process that is gone which are taken off at once. */
const BATCH = 2_000

/** Which clients are connected, on all processes, as these report it. */
export function createPresence({ db, bus }: { db: Db; bus: Bus }) {
  /** @returns what is to be announced */
  async function apply(trx: Trx, node: string, changes: readonly StandingChange[]): Promise<PresenceEvent[]> {
    if (changes.length === 0) return []
    await repository.noteSightings(trx, changes)
    const ids = changes.map(({ clientId }) => clientId)
    const standings = await repository.findStandings(trx, node, ids)
    const known = changes.filter(({ clientId }) => standings.has(clientId))
    await repository.saveConnections(trx, node, known)
    return known.flatMap((change) => eventsOf(node, change, standings.get(change.clientId) as Standing))
  }

  return {
    /** @returns `undefined` for a report that was taken already: nothing of it may count again */
    note: (trx: Trx, report: NodeReport) => repository.noteReport(trx, report),

    /**
     * Takes what a report says that was noted. The last thing in its transaction: what has changed is announced while the
     * clients are locked, so that nobody announces what came after it first. If nothing comes of the transaction the report
     * comes again, and so do the announcements.
     */
    async take(trx: Trx, { node, clients }: NodeReport): Promise<void> {
      const changes = clients.flatMap(({ clientId, connections, seen }) =>
        seen ? [{ clientId, connections, seen }] : [],
      )
      const events = await apply(trx, node, changes)
      if (clients.length > 0) await repository.saveSubscriptions(trx, node, clients)
      await announcePresence(bus, events)
    },

    /**
     * Takes off the connections of processes that are gone. Any number of processes may do it.
     *
     * @param isAlive whether a process is heard of; one that reports is there, whatever this says
     */
    async removeGone(isAlive: (node: string) => boolean): Promise<void> {
      for (const node of await repository.findSilentNodes(db, SILENCE_S)) {
        let isDone = isAlive(node)
        while (!isDone) {
          isDone = await transact(db, async (trx) => {
            const lost = await repository.findLost(trx, node, { silenceS: SILENCE_S, limit: BATCH })
            const changes = lost.map(({ clientId, protocol, atMs }) => ({
              clientId,
              connections: 0,
              seen: { protocol, atMs, hasConnected: false },
            }))
            await announcePresence(bus, await apply(trx, node, changes))
            return lost.length < BATCH
          })
        }
      }
    },
  }
}

function eventsOf(
  node: string,
  change: StandingChange,
  { domainId, total, here }: Standing,
): PresenceEvent[] {
  const { clientId, connections, seen } = change
  const now = total - here + connections
  const event = (word: PresenceEvent['event'], count: number): PresenceEvent => ({
    event: word,
    client_id: clientId,
    domain_id: domainId,
    protocol: seen.protocol,
    node,
    at: new Date(seen.atMs).toISOString(),
    connections: count,
  })
  const has = {
    opened: total === 0 && (now > 0 || seen.hasConnected),
    closed: now === 0 && (total > 0 || seen.hasConnected),
  }
  if (!has.opened && !has.closed) return now === 0 ? [event('seen', 0)] : []
  return [
    ...(has.opened ? [event('connected', Math.max(now, 1))] : []),
    ...(has.closed ? [event('disconnected', 0)] : []),
  ]
}
