import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

let gateway: TestGateway
let api: Api
let site: Awaited<ReturnType<Api['given']['site']>>
const HOUR = 3_600
const START = 1_700_006_400

beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
  site = await api.given.site()
  await api.expect(202, 'POST', `/${site.topic}`, {
    auth: site.auth,
    type: 'application/senml+json',
    body: [
      { n: 'hall', t: START, v: 20 },
      { n: 'hall', t: START + 1, v: 21 },
      { n: 'hall', t: START + 2, vs: 'no number' },
      { n: 'hall', t: START + 6 * HOUR, v: 22 },
      { n: 'kitchen', t: START, v: 10 },
      // Doubles, and yet Postgres cannot add them.
      { n: 'mad', t: START, v: 1.7e308 },
      { n: 'mad', t: START + 1, v: 1.7e308 },
      { n: 'mad', t: START + HOUR, v: 3 },
      { n: 'mad', t: START + 3 * HOUR, v: -1.7e308 },
      { n: 'mad', t: START + 4 * HOUR, v: 1.7e308 },
      { n: 'mad', t: START + 6 * HOUR, v: 5e-324 },
    ],
  })
  await eventually('all is stored', async () => (await read('limit=1')).total === 11)
})
afterAll(() => gateway.stop())

async function read(query: string) {
  const path = `/${site.domain.id}/channels/${site.channel.id}/messages`
  return (await api.expect(200, 'GET', `${path}?${query}`, { token: site.token })).body
}

/** Values by name of the intervals, an hour each, from one hour to another. */
async function intervals(from: number, to: number, query: string) {
  const range = `from=${START + from * HOUR}&to=${START + to * HOUR}&interval=1h&dir=asc&limit=1000`
  const { messages, total } = await read(`${range}&${query}`)
  const byName: Record<string, unknown[]> = {}
  for (const { name, value } of messages as { name: string; value: unknown }[]) {
    byName[name] = [...(byName[name] ?? []), value]
  }
  expect(messages).toHaveLength(total)
  return byName
}

describe('a fill over a time in which nothing was read', () => {
  it.each(['null', 'linear'])('%s answers every interval, empty', async (fill) => {
    const empty = [null, null, null]
    expect(await intervals(2, 5, `name=hall&aggregation=avg&fill=${fill}`)).toEqual({ hall: empty })
    expect(await intervals(2, 5, `name=hall,kitchen,missing&aggregation=max&fill=${fill}`)).toEqual({
      hall: empty,
      kitchen: empty,
    })
    expect((await read(`aggregation=avg&from=1&to=4&fill=${fill}`)).total).toBe(3)
  })

  it('previous answers with the last number before it', async () => {
    expect(await intervals(2, 4, 'name=hall&aggregation=avg&fill=previous')).toEqual({ hall: [21, 21] })
    expect(await intervals(2, 4, 'name=hall,kitchen&aggregation=last&fill=previous')).toEqual({
      hall: [21, 21],
      kitchen: [10, 10],
    })
    // Also in front of what is there, and by the same filter.
    expect(await intervals(5, 7, 'name=hall&aggregation=min&fill=previous')).toEqual({ hall: [21, 22] })
    expect(await intervals(2, 4, 'name=hall&aggregation=avg&fill=previous&v=21&comparator=lt')).toEqual({
      hall: [20, 20],
    })
    const whole = await read(
      `aggregation=avg&interval=1h&from=${START + 5 * HOUR}&to=${START + 6 * HOUR}&fill=previous`,
    )
    expect(whole).toMatchObject({ total: 1, messages: [{ value: 1.7e308 }] })
  })

  it('previous has nothing before the first number, and neither has a sum or a count', async () => {
    expect(await intervals(-3, -1, 'name=hall&aggregation=avg&fill=previous')).toEqual({ hall: [null, null] })
    for (const aggregation of ['sum', 'count']) {
      expect(await intervals(2, 4, `name=hall&aggregation=${aggregation}&fill=previous`)).toEqual({
        hall: [null, null],
      })
    }
  })

  it('of a name that the channel never had answers nothing', async () => {
    expect(await intervals(2, 4, 'name=missing&aggregation=avg&fill=null')).toEqual({})
  })
})

describe('numbers that Postgres cannot add', () => {
  it.each(['avg', 'sum'])('leave the %s of their own interval empty, and no other', async (aggregation) => {
    expect(await intervals(0, 2, `name=mad,kitchen&aggregation=${aggregation}`)).toEqual({
      mad: [null, 3],
      kitchen: [10],
    })
  })

  it('are told as they are where nothing is added', async () => {
    expect(await intervals(0, 2, 'name=mad&aggregation=max')).toEqual({ mad: [1.7e308, 3] })
    expect(await intervals(0, 2, 'name=mad&aggregation=count')).toEqual({ mad: [2, 1] })
  })

  it('have no line between them', async () => {
    expect(await intervals(1, 7, 'name=mad&aggregation=max&fill=linear')).toEqual({
      mad: [3, null, -1.7e308, 1.7e308, null, 5e-324],
    })
  })
})
