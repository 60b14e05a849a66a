import { sql } from 'kysely'
import type { Expression, Selectable, SqlBool } from 'kysely'
import { violates } from '../../platform/db/connect.ts'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { listingFilters, selectPage, withinGroup } from '../../platform/db/listing.ts'
import type { GroupFilter, Listing, Page } from '../../platform/db/listing.ts'
import type { ClientsTable } from '../../platform/db/tables.ts'
import { ClientIdTaken, SecretTaken } from './errors.ts'
import type { Client } from './types.ts'

type Row = Omit<Selectable<ClientsTable>, 'private_metadata'> & {
  private_metadata: Record<string, unknown> | null
  parent_group_path: string[] | null
  connection_types?: ('publish' | 'subscribe')[] | null
}

const PARENT_PATH = sql`(select g.path from groups g where g.id = clients.parent_group_id) as parent_group_path`
const COLUMNS = sql`clients.*, ${PARENT_PATH}`
/** The later of two columns of one name wins: hides the private part from those who may not update the client. */
const columnsFor = (mayUpdate: Expression<SqlBool>) =>
  sql`${COLUMNS}, case when ${mayUpdate} then clients.private_metadata end as private_metadata`

function toClient(row: Row): Client {
  return {
    id: row.id,
    domainId: row.domain_id,
    name: row.name,
    identity: row.identity,
    tags: row.tags,
    metadata: row.metadata,
    privateMetadata: row.private_metadata ?? undefined,
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

export interface InsertClient extends Pick<
  Client,
  'id' | 'domainId' | 'name' | 'identity' | 'tags' | 'metadata' | 'createdBy'
> {
  readonly privateMetadata: Record<string, unknown>
  readonly status: 'enabled' | 'disabled'
  readonly parentGroupId: string | undefined
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
        clients.map((client) => ({
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
    select ${COLUMNS} from clients join unnest(${ids}::uuid[]) with ordinality as given (id, place) using (id)
    order by given.place`.execute(trx)
  return rows.map(toClient)
}

export async function findClient(
  db: Db,
  id: string,
  mayUpdate: Expression<SqlBool>,
): Promise<Client | undefined> {
  const { rows } = await sql<Row>`
    select ${columnsFor(mayUpdate)} from clients where clients.id = ${id} and clients.status <> 'deleted'`.execute(
    db,
  )
  return rows[0] && toClient(rows[0])
}

export interface ClientListing extends Listing {
  /** `undefined`: the domains that the caller may see. */
  readonly domainId: string | undefined
  readonly group: GroupFilter | undefined
  readonly channelId: string | undefined
  readonly connectionType: 'publish' | 'subscribe' | undefined
}

/**
 * @param visible which clients the caller may see
 * @param mayUpdate of which the caller may see the private part too
 */
export async function listClients(
  db: Db,
  visible: Expression<SqlBool>,
  mayUpdate: Expression<SqlBool>,
  listing: ClientListing,
): Promise<Page<Client>> {
  const { domainId, group, channelId, connectionType } = listing
  const conditions = [visible, ...listingFilters('clients', listing)]
  let columns = columnsFor(mayUpdate)
  if (domainId !== undefined) conditions.push(sql<SqlBool>`clients.domain_id = ${domainId}`)
  if (group !== undefined) conditions.push(withinGroup('clients', group))
  if (channelId !== undefined) {
    const connections = sql`from connections n where n.client_id = clients.id and n.channel_id = ${channelId}`
    const ofType = connectionType === undefined ? sql`` : sql`and n.type = ${connectionType}`
    conditions.push(sql<SqlBool>`exists (select ${connections} ${ofType})`)
    columns = sql`${columns}, (select array_agg(n.type order by n.type) ${connections}) as connection_types`
  }
  const page = await selectPage<Row>(db, 'clients', conditions, listing, columns)
  return { total: page.total, items: page.items.map(toClient) }
}

/** A client that may authenticate: enabled, in an enabled domain. */
export interface Identity {
  readonly id: string
  readonly domainId: string
  readonly secretHash: Buffer
}

const identities = (db: Db) =>
  db
    .selectFrom('clients')
    .innerJoin('domains', 'domains.id', 'clients.domain_id')
    .select(['clients.id', 'clients.domain_id as domainId', 'clients.secret_hash as secretHash'])
    .where('clients.status', '=', 'enabled')
    .where('domains.status', '=', 'enabled')

export async function findIdentity(db: Db, clientId: string): Promise<Identity | undefined> {
  return identities(db).where('clients.id', '=', clientId).executeTakeFirst()
}

export async function findIdentityBySecret(
  db: Db,
  domainId: string,
  secretHash: Buffer,
): Promise<Identity | undefined> {
  return identities(db)
    .where('clients.domain_id', '=', domainId)
    .where('clients.secret_hash', '=', secretHash)
    .executeTakeFirst()
}
