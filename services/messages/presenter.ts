import type { Db } from '../../platform/db/connect.ts'
import type { PresentSample } from './present.ts'
import type { SampleRow } from './repository.ts'
import { listSeries } from './series.ts'
import type { SeriesRow } from './series.ts'

/** Series that are kept in mind; the rows of an export may be of any number. */
const MAX_KNOWN = 10_000

/**
 * Shows rows as readings, batch by batch. They come without what their series say, which would be most of their bytes: it is
 * looked up here, once for each series.
 *
 * @param known series that need not be looked up
 */
export function createPresenter(
  db: Db,
  channelId: string,
  present: PresentSample,
  known: readonly SeriesRow[],
) {
  const series = new Map(known.map((one) => [one.id, one]))

  async function learn(rows: readonly SampleRow[]): Promise<void> {
    if (series.size > MAX_KNOWN) series.clear()
    const missing = new Set<number>()
    for (const { series_id: id } of rows) if (!series.has(id)) missing.add(id)
    if (missing.size === 0) return
    for (const one of await listSeries(db, [...missing])) series.set(one.id, one)
  }

  return async (rows: readonly SampleRow[]): Promise<object[]> => {
    await learn(rows)
    return rows.flatMap((row) => {
      const origin = series.get(row.series_id)
      return origin ? present(channelId, origin, row) : []
    })
  }
}
