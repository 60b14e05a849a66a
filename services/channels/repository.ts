import { sql } from 'kysely'
import { violates } from '../../platform/db/connect.ts'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { isUuid } from '../../platform/identifiers.ts'
import { IdTaken, RouteTaken } from '../entities/errors.ts'
import { createGroupedRepository, groupedValues, toGrouped } from '../entities/grouped-repository.ts'
import { inIdOrder } from '../entities/repository.ts'
import type { Placed } from '../entities/types.ts'
import type { Channel, NewChannel } from './types.ts'

export const stored = createGroupedRepository('channel', (row): Channel => ({
  ...toGrouped(row),
  description: row.description,
  route: row.route,
}))

/**
 * Inserts all or none, in one statement.
 *
 * @returns the channels in the order given
 * @throws {IdTaken} @throws {RouteTaken}
 */
export async function insertChannels(trx: Trx, channels: readonly Placed<NewChannel>[]): Promise<Channel[]> {
  try {
    await trx
      .insertInto('channels')
      .values(
        inIdOrder(channels).map((channel) => ({
          ...groupedValues(channel),
          description: channel.description,
          route: channel.route ?? null,
        })),
      )
      .execute()
  } catch (error) {
    if (violates(error, 'channels_pkey')) throw new IdTaken({ cause: error })
    if (violates(error, 'channels_route_key')) throw new RouteTaken({ cause: error })
    throw error
  }
  return stored.readAll(
    trx,
    channels.map((channel) => channel.id),
  )
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
