import { sql } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'
import { transact } from '../../platform/db/transact.ts'

/** What a process tells of its clients, as it stands on the bus. */
export interface TrafficReport {
  readonly node: string
  readonly number: number
  readonly clients: readonly {
    readonly clientId: string
    readonly delivered: number
    readonly subscriptions: number
  }[]
}

/** A process that has said nothing for so long is gone, and its connections with it. */
const GONE_AFTER_S = 30
/** Until then it may come back, and go on to tell of changes alone. */
const FORGOTTEN_AFTER_S = 86_400

/** Adds a report to what is known; one that comes again counts once. */
export async function saveTraffic(db: Db, { node, number, clients }: TrafficReport): Promise<void> {
  await transact(db, async (trx) => {
    const { numAffectedRows } = await sql`
      insert into adapter_nodes as n (id, last_report, seen_at) values (${node}, ${number}, now())
      on conflict (id) do update set last_report = excluded.last_report, seen_at = excluded.seen_at
        where n.last_report < excluded.last_report`.execute(trx)
    if (numAffectedRows !== 1n) return
    await sql`delete from adapter_nodes where seen_at < now() - make_interval(secs => ${FORGOTTEN_AFTER_S})`.execute(
      trx,
    )
    if (clients.length === 0) return
    // In one order, so that reports of two processes about the same clients do not wait for each other in a circle.
    const rows = clients.toSorted((a, b) => (a.clientId < b.clientId ? -1 : 1))
    const ids = rows.map((row) => row.clientId)
    await sql`
      insert into deliveries as d (client_id, messages)
      select * from unnest(${ids}::uuid[], ${rows.map((row) => row.delivered)}::bigint[]) as r (id, delivered)
      where delivered > 0
      on conflict (client_id) do update set messages = d.messages + excluded.messages`.execute(trx)
    await sql`
      insert into live_subscriptions (client_id, node_id, subscriptions)
      select id, ${node}, count from unnest(${ids}::uuid[], ${rows.map((row) => row.subscriptions)}::int[]) as r (id, count)
      on conflict (client_id, node_id) do update set subscriptions = excluded.subscriptions`.execute(trx)
    await sql`
      delete from live_subscriptions
      where node_id = ${node} and client_id = any (${ids}::uuid[]) and subscriptions = 0`.execute(trx)
  })
}

/** @returns messages handed to the client, and its subscriptions on processes that are there */
export async function findTraffic(
  db: Db,
  clientId: string,
): Promise<{ delivered: number; subscriptions: number }> {
  const { rows } = await sql<{ delivered: number; subscriptions: number }>`
    select
      (select coalesce(sum(messages), 0)::bigint from deliveries where client_id = ${clientId}) as delivered,
      (select coalesce(sum(s.subscriptions), 0)::bigint from live_subscriptions s
        join adapter_nodes n on n.id = s.node_id and n.seen_at > now() - make_interval(secs => ${GONE_AFTER_S})
        where s.client_id = ${clientId}) as subscriptions`.execute(db)
  return rows[0] ?? { delivered: 0, subscriptions: 0 }
}
