import { sql } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'
import { MessagesQuery, toMessageFilter } from '../../services/messages/query.ts'
import { listBuckets, listReadings } from '../../services/messages/repository.ts'
import { percentile, timed } from '../support/percentile.ts'
import { DAYS, SERIES } from './load.ts'

const RUNS = 100
const DAY_S = 86_400

/** The reader's questions; milliseconds that 95 of 100 stay under, by question. */
export async function measureQueries(
  db: Db,
  channelId: string,
  readings: number,
): Promise<Record<string, number>> {
  const now = Date.now() / 1_000
  const filter = (query: Record<string, unknown>) => toMessageFilter(MessagesQuery.parse(query), undefined)
  const someName = () =>
    `urn:dev:mac:0024befffe80${(1 + Math.floor(Math.random() * SERIES)).toString(16)}:temperature`
  const someDay = () => now - (1 + Math.random() * (DAYS - 1)) * DAY_S
  const step = (DAYS * DAY_S) / readings

  const questions: Record<string, () => Promise<unknown>> = {
    'latest 10 of the channel': () => listReadings(db, channelId, filter({})),
    'one name over a day': () => {
      const from = someDay()
      return listReadings(db, channelId, filter({ name: someName(), from, to: from + DAY_S, limit: 1_000 }))
    },
    'hourly means of a name over 30 days': () => {
      const bounds = { from: now - DAYS * DAY_S, to: now }
      const aggregation = { aggregation: 'avg', interval: '1h', limit: 1_000 }
      return listBuckets(db, channelId, filter({ name: someName(), ...bounds, ...aggregation }))
    },
    'latest of each of 1,000 names': () =>
      sql`select series.id, latest.* from series cross join lateral (
            select * from samples where series_id = series.id order by time desc, place desc limit 1) as latest
          where series.channel_no = (select no from stored_channels where channel_id = ${channelId})`.execute(
        db,
      ),
    'page at depth 100,000 by cursor': () => {
      const [time, place] = [now - 100_000 * step, (readings - 100_000) * 2 ** 20]
      return sql`select * from samples join series on series.id = series_id
          where samples.channel_no = (select no from stored_channels where channel_id = ${channelId})
            and time <= ${time} and (time, place) < (${time}, ${place})
          order by time desc, place desc limit 10`.execute(db)
    },
  }
  const result: Record<string, number> = {}
  for (const [name, question] of Object.entries(questions)) {
    await timed(10, question)
    result[name] = percentile(await timed(RUNS, question), 0.95)
  }
  return result
}

/** What the issue asks of each, in milliseconds. */
export const QUERY_BARS: Readonly<Record<string, number>> = {
  'latest 10 of the channel': 10,
  'one name over a day': 10,
  'hourly means of a name over 30 days': 50,
  'latest of each of 1,000 names': 50,
  'page at depth 100,000 by cursor': 10,
}
