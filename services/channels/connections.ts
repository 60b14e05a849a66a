import { sql } from 'kysely'
import type { Db, Trx } from '../../platform/db/connect.ts'
import type { Connections, ConnectionType } from './types.ts'

/** Connects every client with every channel in each way. @returns how many connections are new */
export async function insertConnections(trx: Trx, connections: Connections): Promise<number> {
  const { numAffectedRows } = await sql`
    insert into connections (client_id, channel_id, type)
    select client_id, channel_id, type
    from unnest(${[...connections.clientIds]}::uuid[]) as client_id,
      unnest(${[...connections.channelIds]}::uuid[]) as channel_id, unnest(${[...connections.types]}::text[]) as type
    on conflict do nothing`.execute(trx)
  return Number(numAffectedRows ?? 0)
}

export async function deleteConnections(trx: Trx, connections: Connections): Promise<void> {
  await trx
    .deleteFrom('connections')
    .where('client_id', 'in', connections.clientIds)
    .where('channel_id', 'in', connections.channelIds)
    .where('type', 'in', connections.types)
    .execute()
}

/** Whether the client is connected that way, and client, channel and domain are enabled (contract A.3). */
export async function isConnected(
  db: Db,
  clientId: string,
  channelId: string,
  type: ConnectionType,
): Promise<boolean> {
  const row = await db
    .selectFrom('connections')
    .innerJoin('clients', 'clients.id', 'connections.client_id')
    .innerJoin('channels', 'channels.id', 'connections.channel_id')
    .innerJoin('domains', 'domains.id', 'channels.domain_id')
    .select('connections.type')
    .where('connections.client_id', '=', clientId)
    .where('connections.channel_id', '=', channelId)
    .where('connections.type', '=', type)
    .where('clients.status', '=', 'enabled')
    .where('channels.status', '=', 'enabled')
    .where('domains.status', '=', 'enabled')
    .executeTakeFirst()
  return row !== undefined
}

/** Whether the channel and its domain carry messages now. */
export async function carriesMessages(db: Db, channelId: string): Promise<boolean> {
  const row = await db
    .selectFrom('channels')
    .innerJoin('domains', 'domains.id', 'channels.domain_id')
    .select('channels.id')
    .where('channels.id', '=', channelId)
    .where('channels.status', '=', 'enabled')
    .where('domains.status', '=', 'enabled')
    .executeTakeFirst()
  return row !== undefined
}

/** Which of the ids are those of clients and which of channels, and the domains they are in. */
export async function sortIds(db: Db, ids: readonly string[]) {
  const { rows } = await sql<{ id: string; type: 'client' | 'channel'; domainId: string }>`
    select id, type, domain_id as "domainId" from entities
    where type in ('client', 'channel') and id = any (${[...ids]}::uuid[]) and status <> 'deleted'`.execute(
    db,
  )
  return rows
}
