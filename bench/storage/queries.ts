import type { Db } from '../../platform/db/connect.ts'
import { readPage } from '../../services/messages/page.ts'
import { MessagesQuery, toMessageFilter, toPage } from '../../services/messages/query.ts'
import { inSnapshot } from '../../services/messages/snapshot.ts'
import { findChannelState } from '../../services/messages/state.ts'
import { percentile, timed } from '../support/percentile.ts'
import { DAYS, SERIES } from './load.ts'
import type { Fleet } from './load.ts'

const RUNS = 200
const DAY_S = 86_400

/** Days that the smaller size is made of, whose questions are asked of both. */
export const FEW_DAYS = DAYS / 10

/**
 * The reader's questions to a fleet that has measured for some days; milliseconds that 95 of 100 stay under, by question.
 *
 * @param readings that are stored
 */
export async function measureQueries(
  db: Db,
  { channelId, start, stepS }: Fleet,
  readings: number,
): Promise<Record<string, number>> {
  const end = start + readings * stepS
  const days = (end - start) / DAY_S
  // All that an answer takes, but HTTP and the permission.
  const read = (query: Record<string, unknown>) =>
    inSnapshot(db, async (trx) => {
      await findChannelState(trx, channelId)
      return readPage(trx, channelId, toPage(toMessageFilter(MessagesQuery.parse(query), undefined)))
    })
  const someName = () =>
    `urn:dev:mac:0024befffe80${(1 + Math.floor(Math.random() * SERIES)).toString(16)}:temperature`
  const someDay = () => end - (1 + Math.random() * (days - 1)) * DAY_S
  const means = (over: number) => {
    const bounds = { from: end - over * DAY_S, to: end }
    return read({ name: someName(), ...bounds, aggregation: 'avg', interval: '1h', limit: 1_000 })
  }
  const { cursor } = await read({ limit: '10', offset: '99990' })

  const questions: Record<string, () => Promise<unknown>> = {
    'latest 10 of the channel': () => read({}),
    'one name over a day': () => {
      const from = someDay()
      return read({ name: someName(), from, to: from + DAY_S, limit: 1_000 })
    },
    [`hourly means of a name over ${FEW_DAYS} days`]: () => means(FEW_DAYS),
    [`hourly means of a name over ${DAYS} days`]: () => means(DAYS),
    'latest of each of 1,000 names': () => read({ latest: 'true', limit: 1_000 }),
    'page at depth 100,000 by cursor': () => read({ cursor }),
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
  [`hourly means of a name over ${FEW_DAYS} days`]: 50,
  [`hourly means of a name over ${DAYS} days`]: 50,
  'latest of each of 1,000 names': 50,
  'page at depth 100,000 by cursor': 10,
}
