import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/** Which clients are connected, by the process that holds the connections, and when each was seen last. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    -- What it held was taken off because it was taken for gone: if it is not, it must tell of all again.
    alter table adapter_nodes add column wants_all boolean not null default false;

    drop table live_subscriptions;
    create table live_connections (
      client_id uuid not null,
      node_id uuid not null,
      connections int not null check (connections > 0),
      subscriptions int not null default 0,
      protocol text not null,
      changed_at timestamptz not null,
      primary key (client_id, node_id)
    ) with (fillfactor = 50);
    create index live_connections_node on live_connections (node_id, client_id);

    -- Changes all the time: pages keep room for the next version of a row.
    create table sightings (
      client_id uuid primary key,
      protocol text not null,
      at timestamptz not null
    ) with (fillfactor = 50);
  `.execute(db)
}
