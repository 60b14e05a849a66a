import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/** What adapters tell of their clients: deliveries, added up, and subscriptions, by the process that holds them. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table adapter_nodes (
      id uuid primary key,
      last_report bigint not null,
      seen_at timestamptz not null
    );

    -- Both change all the time: pages keep room for the next version of a row.
    create table deliveries (
      client_id uuid primary key,
      messages bigint not null
    ) with (fillfactor = 50);

    create table live_subscriptions (
      client_id uuid not null,
      node_id uuid not null references adapter_nodes (id) on delete cascade,
      subscriptions int not null,
      primary key (client_id, node_id)
    ) with (fillfactor = 50);
    create index live_subscriptions_node on live_subscriptions (node_id);
  `.execute(db)
}
