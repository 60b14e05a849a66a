import { sql } from 'kysely'
import type { Selectable } from 'kysely'
import { violates } from '../../platform/db/connect.ts'
import type { Db, Trx } from '../../platform/db/connect.ts'
import type { Page } from '../../platform/db/listing.ts'
import type { ClientsTable } from '../../platform/db/tables.ts'
import { groupedColumns, listGrouped } from '../entities/list-repository.ts'
import type { GroupedColumns } from '../entities/list-repository.ts'
import { inIdOrder } from '../entities/repository.ts'
import type { View } from '../entities/lists.ts'
import type { GroupedListing } from '../entities/types.ts'
import { ClientIdTaken, SecretTaken } from './errors.ts'
import type { Client, NewClient } from './types.ts'

type Row = Selectable<ClientsTable> & GroupedColumns

function toClient(row: Row): Client {
  return {
    id: row.id,
    domainId: row.domain_id,
    name: row.name,
    identity: row.identity,
    tags: row.tags,
    metadata: row.metadata,
    privateMetadata: row.private_metadata,
    status: row.status,
    parentGroupId: row.parent_group_id,
    parentGroupPath: row.parent_group_path?.join('.') ?? '',
    createdBy: row.created_by,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    updatedBy: row.updated_by,
    connectionTypes: row.connection_types ?? undefined,
  }
}

export interface InsertClient extends Omit<NewClient, 'secret'> {
  readonly id: string
  readonly domainId: string
  readonly createdBy: string
  readonly secretHash: Buffer
}

/**
 * Inserts all or none, in one statement.
 *
 * @returns the clients in the order given
 * @throws {ClientIdTaken} @throws {SecretTaken}
 */
export async function insertClients(trx: Trx, clients: readonly InsertClient[]): Promise<Client[]> {
  try {
    await trx
      .insertInto('clients')
      .values(
        inIdOrder(clients).map((client) => ({
          id: client.id,
          domain_id: client.domainId,
          parent_group_id: client.parentGroupId ?? null,
          name: client.name,
          identity: client.identity,
          secret_hash: client.secretHash,
          tags: [...client.tags],
          metadata: JSON.stringify(client.metadata),
          private_metadata: JSON.stringify(client.privateMetadata),
          status: client.status,
          created_by: client.createdBy,
          updated_by: null,
        })),
      )
      .execute()
  } catch (error) {
    if (violates(error, 'clients_pkey')) throw new ClientIdTaken({ cause: error })
    if (violates(error, 'clients_secret_key')) throw new SecretTaken({ cause: error })
    throw error
  }
  const ids = clients.map((client) => client.id)
  const { rows } = await sql<Row>`
    select ${groupedColumns('client')}
    from clients join unnest(${ids}::uuid[]) with ordinality as given (id, place) using (id)
    order by given.place`.execute(trx)
  return rows.map(toClient)
}

export async function findClient(db: Db, id: string): Promise<Client | undefined> {
  const { rows } = await sql<Row>`
    select ${groupedColumns('client')} from clients
    where clients.id = ${id} and clients.status <> 'deleted'`.execute(db)
  return rows[0] && toClient(rows[0])
}

export async function listClients(db: Db, view: View, listing: GroupedListing): Promise<Page<Client>> {
  const page = await listGrouped<Row>(db, 'client', view, listing)
  return { total: page.total, items: page.items.map(toClient) }
}

export async function deleteConnectionsOf(trx: Trx, clientId: string): Promise<void> {
  await trx.deleteFrom('connections').where('client_id', '=', clientId).execute()
}
