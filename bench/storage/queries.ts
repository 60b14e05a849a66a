import type { Db } from '../../platform/db/connect.ts'
import { readPage } from '../../services/messages/page.ts'
import { MessagesQuery, toMessageFilter, toPage } from '../../services/messages/query.ts'
import { createDeadline } from '../../services/messages/deadline.ts'
import { inSnapshot } from '../../services/messages/snapshot.ts'
import { findChannelState } from '../../services/messages/state.ts'
import { percentile, timed } from '../support/percentile.ts'
import { DAYS, SERIES } from './load.ts'
import type { Fleet } from './load.ts'

const RUNS = 500
const DAY_S = 86_400

/** Days that the smaller size is made of, whose questions are asked of both. */
export const FEW_DAYS = DAYS / 10

export interface Measured {
  readonly db: Db
  readonly fleet: Fleet
}

/**
 * The reader's questions; milliseconds that 95 of 100 stay under, by question. Each is asked of all in turns, so that what
 * else the machine does falls on all of them.
 */
export async function measureQueries(all: readonly Measured[]): Promise<Record<string, number[]>> {
  const asked = await Promise.all(all.map(questionsTo))
  const result: Record<string, number[]> = {}
  for (const name of Object.keys(QUERY_BARS)) {
    const ask = asked.map((questions) => questions[name] ?? (() => Promise.reject(new Error(name))))
    for (const one of ask) await timed(10, one)
    const times: number[][] = ask.map(() => [])
    for (let run = 0; run < RUNS; run++) {
      for (const [i, one] of ask.entries()) times[i]?.push(...(await timed(1, one)))
    }
    result[name] = times.map((each) => percentile(each, 0.95))
  }
  return result
}

async function questionsTo({ db, fleet }: Measured): Promise<Record<string, () => Promise<unknown>>> {
  const { channelId, days, end } = fleet
  // All that an answer takes, but HTTP and the permission.
  const read = (query: Record<string, unknown>) =>
    inSnapshot(db, async (trx) => {
      const state = await findChannelState(trx, channelId)
      return readPage(
        trx,
        state,
        toPage(toMessageFilter(MessagesQuery.parse(query), undefined)),
        createDeadline(10_000),
      )
    })
  const someName = () =>
    `urn:dev:mac:0024befffe80${(1 + Math.floor(Math.random() * SERIES)).toString(16)}:temperature`
  const someDay = () => end - (1 + Math.random() * (days - 1)) * DAY_S
  const means = (over: number) => {
    const bounds = { from: end - over * DAY_S, to: end }
    return read({ name: someName(), ...bounds, aggregation: 'avg', interval: '1h', limit: 1_000 })
  }
  const { cursor } = await read({ limit: '10', offset: '99990' })
  return {
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
