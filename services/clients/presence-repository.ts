import { sql } from 'kysely'
import type { SeenOver } from '../../platform/bus/presence.ts'
import type { Db, Trx } from '../../platform/db/connect.ts'
import type { ConnectionReport, NodeReport, Sighting } from './types.ts'

/** A client whose connections to one process may have changed. */
export interface StandingChange extends Pick<ConnectionReport, 'clientId' | 'connections'> {
  readonly seen: Sighting
}

/** The connections of a client before that. */
export interface Standing {
  readonly domainId: string
  readonly total: number
  readonly here: number
}

/** Until then a report of it that comes again is known. */
const FORGOTTEN_AFTER_S = 86_400

/**
 * Takes note that the process has reported. Locks it until the transaction ends.
 *
 * @returns `undefined` for a report that was taken already; else whether the process must tell of all its connections again
 */
export async function noteReport(
  trx: Trx,
  { node, number, isWhole }: NodeReport,
): Promise<{ wantsAll: boolean } | undefined> {
  const { rows } = await sql<{ wants_all: boolean }>`
    insert into adapter_nodes as n (id, last_report, seen_at, wants_all) values (${node}, ${number}, now(), ${!isWhole})
    on conflict (id) do update
      set last_report = excluded.last_report, seen_at = excluded.seen_at, wants_all = n.wants_all and excluded.wants_all
      where n.last_report < excluded.last_report
    returning wants_all`.execute(trx)
  await sql`
    delete from adapter_nodes n where seen_at < now() - make_interval(secs => ${FORGOTTEN_AFTER_S})
      and not exists (select from live_connections where node_id = n.id)`.execute(trx)
  return rows[0] && { wantsAll: rows[0].wants_all }
}

/** Writes when clients were seen, and locks each until the transaction ends: who changes its connections does this first. */
export async function noteSightings(trx: Trx, changes: readonly StandingChange[]): Promise<void> {
  await sql`
    insert into sightings as s (client_id, protocol, at)
    select c.id, r.protocol, least(to_timestamp(r.at_ms / 1000.0), now())
      from unnest(${changes.map(({ clientId }) => clientId)}::uuid[], ${changes.map(({ seen }) => seen.protocol)}::text[],
        ${changes.map(({ seen }) => seen.atMs)}::bigint[]) as r (id, protocol, at_ms)
      join clients c on c.id = r.id
      -- In one order, so that transactions about the same clients do not wait for each other in a circle.
      order by c.id
    on conflict (client_id) do update set at = greatest(s.at, excluded.at),
      protocol = case when excluded.at < s.at then s.protocol else excluded.protocol end`.execute(trx)
}

/** How many connections each has, on all processes and on this one; of those that are clients. */
export async function findStandings(
  trx: Trx,
  node: string,
  clientIds: readonly string[],
): Promise<Map<string, Standing>> {
  const { rows } = await sql<Standing & { id: string }>`
    select c.id, c.domain_id as "domainId", coalesce(sum(l.connections), 0)::int as total,
      coalesce(sum(l.connections) filter (where l.node_id = ${node}), 0)::int as here
    from clients c left join live_connections l on l.client_id = c.id
    where c.id = any (${[...clientIds]}::uuid[]) group by c.id`.execute(trx)
  return new Map(rows.map((row) => [row.id, row]))
}

export async function saveConnections(
  trx: Trx,
  node: string,
  changes: readonly StandingChange[],
): Promise<void> {
  const open = changes.filter(({ connections }) => connections > 0)
  if (open.length > 0) {
    await sql`
      insert into live_connections (client_id, node_id, connections, protocol, changed_at)
      select id, ${node}, connections, protocol, now()
        from unnest(${open.map(({ clientId }) => clientId)}::uuid[], ${open.map(({ connections }) => connections)}::int[],
          ${open.map(({ seen }) => seen.protocol)}::text[]) as r (id, connections, protocol)
      on conflict (client_id, node_id) do update
        set connections = excluded.connections, protocol = excluded.protocol, changed_at = excluded.changed_at`.execute(
      trx,
    )
  }
  const closed = changes.filter(({ connections }) => connections === 0)
  if (closed.length > 0) {
    await sql`
      delete from live_connections
      where node_id = ${node} and client_id = any (${closed.map(({ clientId }) => clientId)}::uuid[])`.execute(
      trx,
    )
  }
}

export async function saveSubscriptions(
  trx: Trx,
  node: string,
  clients: readonly { readonly clientId: string; readonly subscriptions: number }[],
): Promise<void> {
  await sql`
    update live_connections l set subscriptions = r.subscriptions
    from unnest(${clients.map(({ clientId }) => clientId)}::uuid[],
      ${clients.map(({ subscriptions }) => subscriptions)}::int[]) as r (id, subscriptions)
    where l.client_id = r.id and l.node_id = ${node} and l.subscriptions <> r.subscriptions`.execute(trx)
}

/** @returns processes with connections that have reported nothing for so long */
export async function findSilentNodes(db: Db, silenceS: number): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from adapter_nodes n where ${isSilent(silenceS)}
      and exists (select from live_connections where node_id = n.id)`.execute(db)
  return rows.map(({ id }) => id)
}

/**
 * Notes that the process counts as gone, unless it has reported. Locks it until the transaction ends.
 *
 * @returns up to so many of its clients, as they were when it was heard last
 */
export async function findLost(
  trx: Trx,
  node: string,
  { silenceS, limit }: { readonly silenceS: number; readonly limit: number },
): Promise<{ clientId: string; protocol: SeenOver; atMs: number }[]> {
  const { rows: nodes } = await sql<{ at_ms: number }>`
    update adapter_nodes n set wants_all = true where id = ${node} and ${isSilent(silenceS)}
    returning floor(extract(epoch from seen_at) * 1000)::bigint as at_ms`.execute(trx)
  const [silent] = nodes
  if (!silent) return []
  const { rows } = await sql<{ clientId: string; protocol: SeenOver }>`
    select client_id as "clientId", protocol from live_connections where node_id = ${node}
    order by client_id limit ${limit}`.execute(trx)
  return rows.map((row) => ({ ...row, atMs: silent.at_ms }))
}

const isSilent = (silenceS: number) => sql`n.seen_at < now() - make_interval(secs => ${silenceS})`

/** What connections of the client are subscribed to. */
export async function countSubscriptions(db: Db, clientId: string): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select coalesce(sum(subscriptions), 0)::int as count from live_connections where client_id = ${clientId}`.execute(
    db,
  )
  return rows[0]?.count ?? 0
}

/** What {@link presenceColumn} reads. */
export interface PresenceColumn {
  readonly presence: {
    readonly is_connected: boolean
    readonly protocol: SeenOver
    readonly seen_at: string
  } | null
}

/** Of each client that is read. A connected one was seen when the process that holds its connection last reported. */
export const presenceColumn = sql<PresenceColumn>`(
  select json_build_object('is_connected', l.client_id is not null, 'protocol', coalesce(l.protocol, s.protocol),
    'seen_at', greatest(s.at, n.seen_at))
  from sightings s left join live_connections l using (client_id) left join adapter_nodes n on n.id = l.node_id
  where s.client_id = clients.id order by l.changed_at desc limit 1) as presence`
