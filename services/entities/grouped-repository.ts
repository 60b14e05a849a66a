import { sql } from 'kysely'
import type { RawBuilder, Selectable, SqlBool } from 'kysely'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { withinGroup } from '../../platform/db/listing.ts'
import type { Page } from '../../platform/db/listing.ts'
import type { ChannelsTable, ClientsTable } from '../../platform/db/tables.ts'
import { listEntities } from './list-repository.ts'
import type { View } from './lists.ts'
import { toEntity } from './repository.ts'
import type { EntityRow } from './repository.ts'
import type { ConnectionType, Grouped, GroupedListing, GroupedType, Placed } from './types.ts'

/** A client or a channel as it is read. */
interface GroupedRow extends EntityRow {
  readonly parent_group_id: string | null
  readonly parent_group_path: string[] | null
  readonly connection_types?: ConnectionType[] | null
}

interface Rows {
  readonly client: Selectable<ClientsTable> & GroupedRow
  readonly channel: Selectable<ChannelsTable> & GroupedRow
}

export function toGrouped(row: GroupedRow): Grouped {
  return {
    ...toEntity(row),
    parentGroupId: row.parent_group_id,
    parentGroupPath: row.parent_group_path?.join('.') ?? '',
    connectionTypes: row.connection_types ?? undefined,
  }
}

/** What is inserted of a client and of a channel alike. */
export const groupedValues = (input: Placed) => ({
  id: input.id,
  domain_id: input.domainId,
  parent_group_id: input.parentGroupId ?? null,
  name: input.name,
  tags: [...input.tags],
  metadata: JSON.stringify(input.metadata),
  status: input.status,
  created_by: input.createdBy,
  updated_by: null,
})

/**
 * Reading clients and channels, and what hangs on both.
 *
 * @param further column that is read besides those of the table
 */
export function createGroupedRepository<Type extends GroupedType, T extends Grouped, Further = object>(
  type: Type,
  toItem: (row: Rows[Type] & Further) => T,
  further?: RawBuilder<Further>,
) {
  const table = sql.table(`${type}s`)
  const column = (name: string) => sql.ref(`${type}s.${name}`)
  const columns = sql`${table}.*,
    (select g.path from groups g where g.id = ${column('parent_group_id')}) as parent_group_path
    ${further === undefined ? sql`` : sql`, ${further}`}`
  const [here, there] = type === 'client' ? ['client_id', 'channel_id'] : ['channel_id', 'client_id']

  return {
    /** `undefined` for what was deleted. */
    find: async (db: Db, id: string): Promise<T | undefined> => {
      const { rows } = await sql<Rows[Type] & Further>`
        select ${columns} from ${table} where ${column('id')} = ${id} and ${column('status')} <> 'deleted'`.execute(
        db,
      )
      return rows[0] && toItem(rows[0])
    },

    /** @returns in the order of the ids */
    readAll: async (db: Db, ids: readonly string[]): Promise<T[]> => {
      const { rows } = await sql<Rows[Type] & Further>`
        select ${columns} from ${table} join unnest(${[...ids]}::uuid[]) with ordinality as given (id, place) using (id)
        order by given.place`.execute(db)
      return rows.map(toItem)
    },

    /** As {@link listEntities}, by the group they are in and by what they are connected to as well. */
    list: async (db: Db, { reach, conditions }: View, listing: GroupedListing): Promise<Page<T>> => {
      const { group, connected } = listing
      const all = [...conditions]
      let shown = columns
      if (group !== undefined) all.push(withinGroup(`${type}s`, group))
      if (connected !== undefined) {
        const connections = sql`from connections n
          where ${sql.ref(`n.${here}`)} = ${column('id')} and ${sql.ref(`n.${there}`)} = ${connected.to}`
        const ofType = connected.type === undefined ? sql`` : sql`and n.type = ${connected.type}`
        all.push(sql<SqlBool>`exists (select ${connections} ${ofType})`)
        shown = sql`${columns}, (select array_agg(n.type order by n.type) ${connections}) as connection_types`
      }
      const page = await listEntities<Rows[Type] & Further>(db, {
        reach,
        listing,
        conditions: all,
        columns: shown,
      })
      return { total: page.total, items: page.items.map(toItem) }
    },

    deleteConnectionsOf: async (trx: Trx, id: string): Promise<void> => {
      await sql`delete from connections where ${sql.ref(here)} = ${id}`.execute(trx)
    },
  }
}
