import { sql } from 'kysely'
import type { Expression, Selectable, SqlBool } from 'kysely'
import { violates } from '../../platform/db/connect.ts'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { listingFilters, selectPage, withinGroup } from '../../platform/db/listing.ts'
import type { GroupFilter, Listing, Page } from '../../platform/db/listing.ts'
import type { ChannelsTable } from '../../platform/db/tables.ts'
import { ChannelIdTaken, ChannelRouteTaken } from './errors.ts'
import type { Channel, ChannelChange, ConnectionType } from './types.ts'

type Row = Selectable<ChannelsTable> & {
  parent_group_path: string[] | null
  connection_types?: ConnectionType[] | null
}

const COLUMNS = sql`channels.*,
  (select g.path from groups g where g.id = channels.parent_group_id) as parent_group_path`

function toChannel(row: Row): Channel {
  return {
    id: row.id,
    domainId: row.domain_id,
    name: row.name,
    description: row.description,
    route: row.route,
    tags: row.tags,
    metadata: row.metadata,
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

export interface InsertChannel extends Pick<
  Channel,
  'id' | 'domainId' | 'name' | 'description' | 'tags' | 'metadata' | 'createdBy'
> {
  readonly route: string | undefined
  readonly status: 'enabled' | 'disabled'
  readonly parentGroupId: string | undefined
}

/**
 * Inserts all or none, in one statement.
 *
 * @returns the channels in the order given
 * @throws {ChannelIdTaken} @throws {ChannelRouteTaken}
 */
export async function insertChannels(trx: Trx, channels: readonly InsertChannel[]): Promise<Channel[]> {
  try {
    await trx
      .insertInto('channels')
      .values(
        channels.map((channel) => ({
          id: channel.id,
          domain_id: channel.domainId,
          parent_group_id: channel.parentGroupId ?? null,
          name: channel.name,
          description: channel.description,
          route: channel.route ?? null,
          tags: [...channel.tags],
          metadata: JSON.stringify(channel.metadata),
          status: channel.status,
          created_by: channel.createdBy,
          updated_by: null,
        })),
      )
      .execute()
  } catch (error) {
    if (violates(error, 'channels_pkey')) throw new ChannelIdTaken({ cause: error })
    if (violates(error, 'channels_route_key')) throw new ChannelRouteTaken({ cause: error })
    throw error
  }
  const ids = channels.map((channel) => channel.id)
  const { rows } = await sql<Row>`
    select ${COLUMNS} from channels join unnest(${ids}::uuid[]) with ordinality as given (id, place) using (id)
    order by given.place`.execute(trx)
  return rows.map(toChannel)
}

export async function findChannel(db: Db, id: string): Promise<Channel | undefined> {
  const { rows } = await sql<Row>`
    select ${COLUMNS} from channels where channels.id = ${id} and channels.status <> 'deleted'`.execute(db)
  return rows[0] && toChannel(rows[0])
}

export async function updateChannel(
  trx: Trx,
  id: string,
  change: ChannelChange,
  updatedBy: string,
): Promise<void> {
  await trx
    .updateTable('channels')
    .set({
      ...(change.name === undefined ? {} : { name: change.name }),
      ...(change.description === undefined ? {} : { description: change.description }),
      ...(change.metadata === undefined ? {} : { metadata: JSON.stringify(change.metadata) }),
      updated_at: new Date(),
      updated_by: updatedBy,
    })
    .where('id', '=', id)
    .execute()
}

export interface ChannelListing extends Listing {
  /** `undefined`: the domains that the caller may see. */
  readonly domainId: string | undefined
  readonly group: GroupFilter | undefined
  readonly clientId: string | undefined
  readonly connectionType: ConnectionType | undefined
}

/** @param visible which channels the caller may see */
export async function listChannels(
  db: Db,
  visible: Expression<SqlBool>,
  listing: ChannelListing,
): Promise<Page<Channel>> {
  const { domainId, group, clientId, connectionType } = listing
  const conditions = [visible, ...listingFilters('channels', listing)]
  let columns = COLUMNS
  if (domainId !== undefined) conditions.push(sql<SqlBool>`channels.domain_id = ${domainId}`)
  if (group !== undefined) conditions.push(withinGroup('channels', group))
  if (clientId !== undefined) {
    const connections = sql`from connections n where n.channel_id = channels.id and n.client_id = ${clientId}`
    const ofType = connectionType === undefined ? sql`` : sql`and n.type = ${connectionType}`
    conditions.push(sql<SqlBool>`exists (select ${connections} ${ofType})`)
    columns = sql`${COLUMNS}, (select array_agg(n.type order by n.type) ${connections}) as connection_types`
  }
  const page = await selectPage<Row>(db, 'channels', conditions, listing, columns)
  return { total: page.total, items: page.items.map(toChannel) }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** A channel by what a topic calls it: domain and channel each by id or route, the channel by its id where no domain is named. */
export async function findAddress(
  db: Db,
  reference: { readonly domain?: string | undefined; readonly channel: string },
): Promise<{ domainId: string; channelId: string } | undefined> {
  const named = (table: string, value: string) =>
    UUID.test(value)
      ? sql<boolean>`${sql.ref(`${table}.id`)} = ${value}`
      : sql<boolean>`lower(${sql.ref(`${table}.route`)}) = ${value}`
  const channel = reference.channel.toLowerCase()
  const domain = reference.domain?.toLowerCase()
  if (domain === undefined && !UUID.test(channel)) return undefined
  let query = db
    .selectFrom('channels')
    .innerJoin('domains', 'domains.id', 'channels.domain_id')
    .select(['channels.id as channelId', 'domains.id as domainId'])
    .where('channels.status', '<>', 'deleted')
    .where('domains.status', '<>', 'deleted')
    .where(named('channels', channel))
  if (domain !== undefined) query = query.where(named('domains', domain))
  return query.executeTakeFirst()
}
