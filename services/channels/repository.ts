import { sql } from 'kysely'
import type { Selectable } from 'kysely'
import { violates } from '../../platform/db/connect.ts'
import type { Db, Trx } from '../../platform/db/connect.ts'
import type { Page } from '../../platform/db/listing.ts'
import type { ChannelsTable } from '../../platform/db/tables.ts'
import { isUuid } from '../../platform/identifiers.ts'
import { groupedColumns, listGrouped } from '../entities/list-repository.ts'
import type { GroupedColumns } from '../entities/list-repository.ts'
import { inIdOrder } from '../entities/repository.ts'
import type { View } from '../entities/lists.ts'
import type { GroupedListing } from '../entities/types.ts'
import { ChannelIdTaken, ChannelRouteTaken } from './errors.ts'
import type { Channel, NewChannel } from './types.ts'

type Row = Selectable<ChannelsTable> & GroupedColumns

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

export interface InsertChannel extends NewChannel {
  readonly id: string
  readonly domainId: string
  readonly createdBy: string
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
        inIdOrder(channels).map((channel) => ({
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
    select ${groupedColumns('channel')}
    from channels join unnest(${ids}::uuid[]) with ordinality as given (id, place) using (id)
    order by given.place`.execute(trx)
  return rows.map(toChannel)
}

export async function findChannel(db: Db, id: string): Promise<Channel | undefined> {
  const { rows } = await sql<Row>`
    select ${groupedColumns('channel')} from channels
    where channels.id = ${id} and channels.status <> 'deleted'`.execute(db)
  return rows[0] && toChannel(rows[0])
}

export async function listChannels(db: Db, view: View, listing: GroupedListing): Promise<Page<Channel>> {
  const page = await listGrouped<Row>(db, 'channel', view, listing)
  return { total: page.total, items: page.items.map(toChannel) }
}

/** A channel by what a topic calls it: domain and channel each by id or route, the channel by its id where no domain is named. */
export async function findAddress(
  db: Db,
  reference: { readonly domain?: string | undefined; readonly channel: string },
): Promise<{ domainId: string; channelId: string } | undefined> {
  const named = (table: string, value: string) =>
    isUuid(value)
      ? sql<boolean>`${sql.ref(`${table}.id`)} = ${value}`
      : sql<boolean>`lower(${sql.ref(`${table}.route`)}) = ${value}`
  const channel = reference.channel.toLowerCase()
  const domain = reference.domain?.toLowerCase()
  if (domain === undefined && !isUuid(channel)) return undefined
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
