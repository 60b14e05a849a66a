import { sql } from 'kysely'
import type { Selectable } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'
import type { SeriesTable } from '../../platform/db/tables.ts'

/** What all samples of a series have in common. */
export type SeriesRow = Pick<
  Selectable<SeriesTable>,
  'id' | 'publisher' | 'subtopic' | 'protocol' | 'name' | 'unit'
>

export const SERIES_COLUMNS = sql`id, publisher, subtopic, protocol, name, unit`

export async function listSeries(db: Db, ids: readonly number[]): Promise<SeriesRow[]> {
  const { rows } = await sql<SeriesRow>`
    select ${SERIES_COLUMNS} from series where id = any(${[...ids]}::int[])`.execute(db)
  return rows
}
