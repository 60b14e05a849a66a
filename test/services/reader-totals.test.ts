import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'
import { insertReadings } from '../support/readings.ts'

type Site = Awaited<ReturnType<Api['given']['site']>>

let gateway: TestGateway
let api: Api
let site: Site
const DAY = 86_400
/** The beginning of a day. */
const START = 19_676 * DAY
const MOST = 10
const HALL = 25

beforeAll(async () => {
  gateway = await startTestGateway({ SLUICE_TOTAL_MAX_ROWS: String(MOST) })
  api = createApi(gateway.url)
  site = await api.given.site()
  const hall = Array.from({ length: HALL }, (_, v) => ({ n: 'hall', t: START + 100 + v, v }))
  const kitchen = Array.from({ length: 5 }, (_, v) => ({ n: 'kitchen', t: START + v, v, s: v }))
  await publish([...hall, ...kitchen, { n: 'door', t: START, vs: 'open' }], 'application/senml+json')
  for (let i = 0; i < 12; i++) await publish({ i }, 'application/json')
  await eventually('all is stored', async () => {
    const [stored, json] = [await read('limit=1'), await read('format=floor&limit=1')]
    return stored.total === 31 && json.total === 12
  })
})
afterAll(() => gateway.stop())

const publish = (body: unknown, type: string) =>
  api.expect(202, 'POST', `/${site.topic}/floor`, { auth: site.auth, body, type })

async function read(query: string, { domain, channel, token }: Site = site) {
  const path = `/${domain.id}/channels/${channel.id}/messages?${query}`
  return (await api.expect(200, 'GET', path, { token })).body
}

describe('the total of a page', () => {
  it.each([
    ['limit=1', 31],
    [`limit=1&from=${START}&to=${START + DAY}`, 31],
    [`limit=1&to=${START + DAY + 1}`, 31],
    [`limit=1&from=${START + 1}&to=${START + 5}`, 4],
    ['limit=1&name=kitchen', 5],
    ['limit=1&name=kitchen&v=3&comparator=ge', 2],
    ['limit=1&name=kitchen,door&protocol=http', 6],
    ['limit=1&offset=40&name=kitchen', 5],
    ['limit=1&format=floor', 12],
    ['limit=1&name=nothing', 0],
    // All of them are on the page.
    ['limit=100&name=hall', HALL],
    ['limit=10&offset=20&name=hall', HALL],
  ])('of "%s" is exact: kept by the writer, counted to the end, or on the page', async (query, total) => {
    const page = await read(query)
    expect(page.total).toBe(total)
    expect(page).not.toHaveProperty('total_is_minimum')
  })

  it.each([
    'name=hall',
    'name=hall,kitchen',
    'subtopic=floor',
    'protocol=http',
    'name=hall&v=0&comparator=ge',
    'v=0&comparator=ge',
    'vs=open&comparator=ge',
    'name=hall&order=value',
    `from=${START + 100}&to=${START + 200}`,
    `from=${START + 1}`,
    'format=floor&protocol=http',
    'format=floor&from=1',
  ])('of "%s" is a minimum beyond the rows that are looked at, and says so', async (query) => {
    const page = await read(`${query}&limit=1000`)
    const real = page.messages.length
    expect(page).toMatchObject({ total: real })

    // Behind the end, so that what was counted is all that is known.
    const { total, total_is_minimum: isMinimum } = await read(`${query}&limit=1&offset=1000`)

    expect(isMinimum).toBe(true)
    expect(total).toBeLessThanOrEqual(Math.min(real, MOST + 1))
  })

  it('is bounded by the rows that are looked at, and not by those that pass', async () => {
    // Older than the newest that are looked at.
    expect(await read('name=hall&v=2&comparator=lt&limit=10&offset=10')).toMatchObject({
      total: 0,
      total_is_minimum: true,
      messages: [],
    })
    expect(await read('name=hall&v=2&comparator=lt&limit=1')).toMatchObject({
      total: 2,
      total_is_minimum: true,
      messages: [{ value: 1 }],
    })
  })

  it.each([
    ['many', 300],
    ['a great many', 2_100],
  ])('is bounded where %s series pass, and holds none of the others', async (_, series) => {
    const crowd = await api.given.site()
    const db = new Client({ connectionString: gateway.ground.databaseUrl })
    await db.connect()
    const { domain, channel } = crowd
    await insertReadings(db, {
      domainId: domain.id,
      channelId: channel.id,
      count: series,
      start: START,
      series,
    })
    await db.query(
      `update series set protocol = 'http' from stored_channels
       where channel_no = no and channel_id = $1 and name in ('long0', $2)`,
      [channel.id, `long${series - 1}`],
    )
    await db.end()

    // One of the newest that are looked at is of the other protocol.
    const page = await read('protocol=mqtt&limit=1&offset=3000', crowd)
    expect(page).toMatchObject({ total: MOST, total_is_minimum: true })
    const few = await read(`protocol=mqtt&limit=1&from=${START}&to=${START + 5}`, crowd)
    expect(few.total).toBe(4)
    expect(few).not.toHaveProperty('total_is_minimum')
  })
})

describe('behind a total that is a minimum', () => {
  it.each(['name=hall', 'subtopic=floor', 'v=2&comparator=le', 'format=floor&protocol=http'])(
    'offsets smaller than the total of the page before lead through all of "%s"',
    async (query) => {
      const whole = await read(`${query}&limit=1000`)
      const found: unknown[] = []
      let total = 1
      while (found.length < total) {
        const page = await read(`${query}&limit=2&offset=${found.length}`)
        expect(page.messages).not.toEqual([])
        found.push(...page.messages)
        total = page.total
      }
      expect(found).toEqual(whole.messages)
    },
  )

  it('cursors lead through everything, and carry it along', async () => {
    const whole = await read('name=hall&limit=1000')
    const found: unknown[] = []
    let cursor: string | undefined = ''
    while (cursor !== undefined) {
      const page = await read(`name=hall&limit=4&cursor=${cursor}`)
      expect(page).toMatchObject({ total: MOST + 1, total_is_minimum: true })
      found.push(...page.messages)
      cursor = page.cursor
    }
    expect(found).toEqual(whole.messages)
  })
})
