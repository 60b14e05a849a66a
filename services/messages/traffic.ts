import { sql } from 'kysely'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { transact } from '../../platform/db/transact.ts'
import type { Presence } from '../clients/service.ts'
import type { NodeReport } from '../clients/types.ts'

/** What a process tells of its clients, as it stands on the bus. */
export interface TrafficReport extends NodeReport {
  readonly clients: readonly (NodeReport['clients'][number] & { readonly delivered: number })[]
}

/** Takes what adapters report: deliveries are added up, connections are as they say; one that comes again counts once. */
export function createTrafficSink({ db, presence }: { db: Db; presence: Presence }) {
  return {
    /** @returns whether the process is to tell of all its connections again */
    report: async (report: TrafficReport): Promise<{ wantsAll: boolean }> =>
      transact(db, async (trx) => {
        const noted = await presence.note(trx, report)
        if (!noted) return { wantsAll: false }
        await saveDeliveries(trx, report)
        await presence.take(trx, report)
        return noted
      }),
  }
}

async function saveDeliveries(trx: Trx, { clients }: TrafficReport): Promise<void> {
  // In one order, so that reports of two processes about the same clients do not wait for each other in a circle.
  const rows = clients
    .filter(({ delivered }) => delivered > 0)
    .toSorted((a, b) => (a.clientId < b.clientId ? -1 : 1))
  if (rows.length === 0) return
  await sql`
    insert into deliveries as d (client_id, messages)
    select * from unnest(${rows.map((row) => row.clientId)}::uuid[], ${rows.map((row) => row.delivered)}::bigint[])
    on conflict (client_id) do update set messages = d.messages + excluded.messages`.execute(trx)
}

/** @returns messages handed to the client */
export async function countDeliveries(db: Db, clientId: string): Promise<number> {
  const { rows } = await sql<{ messages: number }>`
    select messages from deliveries where client_id = ${clientId}`.execute(db)
  return rows[0]?.messages ?? 0
}
