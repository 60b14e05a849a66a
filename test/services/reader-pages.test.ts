import { Client } from 'pg'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createDatabase } from '../../platform/db/connect.ts'
import { createDeadline } from '../../services/messages/deadline.ts'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'
import { insertReadings } from '../support/readings.ts'
import { openEventStream } from '../support/sse.ts'

let gateway: TestGateway
let api: Api
let site: Awaited<ReturnType<Api['given']['site']>>
let other: typeof site
let path: string
const HOUR = 3_600
const START = 1_700_006_400

type Row = Record<string, unknown>

beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
  site = await api.given.site()
  other = await api.given.site()
  path = `/${site.domain.id}/channels/${site.channel.id}/messages`
  const temp = [0, 1, 2, 5, 6, 11].map((hour) => ({
    n: 'temp',
    u: 'Cel',
    t: START + hour * HOUR,
    v: hour * 10,
  }))
  // Several at the same moment, so that time alone does not order them.
  const same = Array.from({ length: 20 }, (_, v) => ({ n: `same${v % 4}`, t: START, v }))
  await publish([...temp, ...same])
  await publish(
    [
      { n: 'note', t: START + 1, vs: 'a' },
      { n: 'door', t: START + 2, vb: true },
      { n: 'energy', t: START + 3, s: 7, v: 100 },
    ],
    'floor/1',
  )
  for (let i = 0; i < 5; i++) await publish({ i }, 'orders', 'application/json')
  await api.expect(202, 'POST', `/${other.topic}`, {
    auth: other.auth,
    body: [{ n: 'temp', t: START, v: -1 }],
    type: 'application/senml+json',
  })
  await eventually('all is stored', async () => {
    const stored = await read('limit=1')
    const json = await read('format=orders&limit=1')
    return stored.total === 29 && json.total === 5
  })
})
afterAll(() => gateway.stop())

const publish = (body: unknown, subtopic = '', type = 'application/senml+json') =>
  api.expect(202, 'POST', `/${site.topic}/${subtopic}`, { auth: site.auth, body, type })

async function read(query: string) {
  return (await api.expect(200, 'GET', `${path}?${query}`, { token: site.token })).body
}

/** All pages by cursor, and the totals they said. */
async function walk(query: string, between: () => Promise<unknown> = () => Promise.resolve()) {
  const rows: Row[] = []
  const totals: number[] = []
  let cursor: string | undefined = ''
  while (cursor !== undefined) {
    const page = await read(`${query}&cursor=${cursor}`)
    rows.push(...(page.messages as Row[]))
    totals.push(page.total)
    cursor = page.cursor
    await between()
  }
  return { rows, totals }
}

describe('pages by cursor', () => {
  it.each(
    [
      'time',
      'value',
      'string_value',
      'bool_value',
      'publisher',
      'name',
      'protocol',
      'subtopic',
      'unit',
      'sum',
    ].flatMap((order) => ['asc', 'desc'].map((dir) => [order, dir])),
  )('together are the whole list, in order %s %s', async (order, dir) => {
    const query = `order=${order}&dir=${dir}`
    const whole = await read(`${query}&limit=1000`)
    expect(whole.cursor).toBeUndefined()
    const { rows, totals } = await walk(`${query}&limit=4`)
    expect(rows).toEqual(whole.messages)
    expect(new Set(totals)).toEqual(new Set([29]))
  })

  it.each([
    'name=temp',
    'name=same0,same1,temp',
    'subtopic=floor/1',
    'v=3&comparator=gt',
    `from=${START}&to=${START + 1}`,
  ])('keep to the filter %s', async (filter) => {
    const whole = await read(`${filter}&limit=1000`)
    expect((await walk(`${filter}&limit=2`)).rows).toEqual(whole.messages)
  })

  it.each(['created', 'subtopic', 'publisher', 'protocol'])(
    'work for other JSON, in order %s',
    async (order) => {
      const query = `format=orders&order=${order}`
      const { rows } = await walk(`${query}&limit=2`)
      expect(rows).toEqual((await read(`${query}&limit=1000`)).messages)
      expect(rows).toHaveLength(5)
    },
  )

  it.each([300, 2_100])('keep to a filter that %i series pass', async (series) => {
    const { domain, channel, token } = await api.given.site()
    const db = new Client({ connectionString: gateway.ground.databaseUrl })
    await db.connect()
    await insertReadings(db, {
      domainId: domain.id,
      channelId: channel.id,
      count: 2 * series,
      start: START,
      series,
    })
    await db.end()
    const list = `/${domain.id}/channels/${channel.id}/messages`

    const page = await api.expect(200, 'GET', `${list}?protocol=mqtt&limit=3`, { token })

    expect(page.body).toMatchObject({
      total: 2 * series,
      messages: [
        { name: `long${series - 1}`, value: 2 * series - 1 },
        { name: `long${series - 2}`, value: 2 * series - 2 },
        { name: `long${series - 3}`, value: 2 * series - 3 },
      ],
    })
    const latest = await api.expect(200, 'GET', `${list}?protocol=mqtt&latest=true&limit=2`, { token })
    expect(latest.body).toMatchObject({
      total: series,
      messages: [{ name: 'long0', value: series }, { name: 'long1' }],
    })
    const none = await api.expect(200, 'GET', `${list}?protocol=http`, { token })
    expect(none.body).toMatchObject({ total: 0, messages: [] })
    const hours = `aggregation=count&interval=24h&from=${START}&to=${START + 86_400}`
    const counted = await api.expect(200, 'GET', `${list}?protocol=mqtt&${hours}`, { token })
    expect(counted.body).toMatchObject({ total: 1, messages: [{ value: 2 * series }] })
  })

  it('neither repeat nor skip anything when readings come in between', async () => {
    const before = (await read('limit=1000')).messages
    let v = 0
    const { rows } = await walk('limit=5', async () => {
      const { total } = await read('limit=1')
      await publish([{ n: 'new', t: START + 20 * HOUR + v, v: (v += 1) }])
      await eventually('it is stored', async () => (await read('limit=1')).total === total + 1)
    })
    expect(rows).toEqual(before)
  })

  it.each([
    ['', 'dir=asc'],
    ['', 'order=value'],
    ['', 'name=temp'],
    ['name=temp', ''],
    ['name=temp', 'name=same0'],
    ['', `from=${START}`],
    ['v=3&comparator=gt', 'v=3&comparator=ge'],
    ['', 'latest=true'],
    ['latest=true', 'latest=true&name=same0,temp'],
    ['', 'format=orders'],
    ['format=orders', 'format=orders&protocol=http'],
  ])('of "%s" are no pages of "%s"', async (asked, other) => {
    const { cursor } = await read(`${asked}&limit=1`)
    const answer = await api.call('GET', `${path}?${other}&limit=1&cursor=${cursor}`, { token: site.token })
    expect([answer.status, answer.body.message]).toEqual([400, expect.stringContaining('cursor')])
  })

  it('are of their channel alone, and of any length', async () => {
    const { cursor } = await read('limit=1')
    const others = `/${other.domain.id}/channels/${other.channel.id}/messages`
    const answer = await api.call('GET', `${others}?limit=1&cursor=${cursor}`, { token: other.token })
    expect([answer.status, answer.body.message]).toEqual([400, expect.stringContaining('cursor')])
    expect((await read(`limit=20&cursor=${cursor}`)).messages).toHaveLength(20)
  })

  it.each([
    ['', ['x', 'y']],
    ['', [1, '9999999999999999999']],
    ['', [1]],
    ['format=orders', [1, 1, 1]],
  ])('of "%s" do not begin at %j', async (query, place) => {
    const { cursor } = await read(`${query}&limit=1`)
    const [list, total] = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    const changed = Buffer.from(JSON.stringify([list, total, ...place])).toString('base64url')
    const answer = await api.call('GET', `${path}?${query}&cursor=${changed}`, { token: site.token })
    expect([answer.status, answer.body.message]).toEqual([400, expect.stringContaining('cursor')])
  })

  it.each([
    ['cursor=nonsense', 'cursor'],
    [`cursor=${Buffer.from('[]').toString('base64url')}`, 'cursor'],
    ['name=a%00b', 'name'],
    ['subtopic=%00', 'subtopic'],
    ['vs=%00', 'vs'],
    ['format=%00', 'format'],
    ['cursor=abc&offset=1', 'offset'],
    ['limit=1001', 'limit'],
    ['latest=perhaps', 'latest'],
    ['latest=true&order=time', 'order'],
    [`latest=true&aggregation=max&from=1&to=2`, 'latest'],
    ['fill=null', 'fill'],
    [`fill=zero&aggregation=max&from=1&to=2`, 'fill'],
    ['aggregation=median&from=1&to=2', 'aggregation'],
    ['aggregation=avg&from=0&to=1000000', 'interval'],
    ['aggregation=avg&from=0&to=1&interval=1ns', 'interval'],
    ['aggregation=avg&from=9e10&to=9e10&interval=1ns', 'interval'],
    [`aggregation=avg&from=0&to=50000&name=a,b,c`, 'interval'],
    [`name=${Array.from({ length: 1_001 }, (_, i) => `n${i}`).join(',')}`, 'name'],
  ])('are refused with 400 for %s', async (query, field) => {
    const answer = await api.call('GET', `${path}?${query}`, { token: site.token })
    expect(answer.status).toBe(400)
    expect(answer.body.message).toContain(field)
  })
})

describe('the latest readings', () => {
  const latest = async (query: string) =>
    ((await read(`latest=true&${query}`)).messages as Row[]).map(({ name, value }) => [name, value])

  it('are one of each name, in the order of the names', async () => {
    const page = await read('latest=true&limit=1000&name=temp,same3,door,missing')
    expect(page.total).toBe(3)
    expect(page.messages).toMatchObject([
      { name: 'door', bool_value: true, subtopic: 'floor/1' },
      { name: 'same3', value: 19 },
      { name: 'temp', value: 110, unit: 'Cel', time: START + 11 * HOUR },
    ])
  })

  it('keep to bounds in time, a subtopic and a publisher', async () => {
    expect(await latest(`name=temp&to=${START + 6 * HOUR}`)).toEqual([['temp', 50]])
    expect(await latest('subtopic=floor/1&dir=desc')).toEqual([
      ['note', undefined],
      ['energy', 100],
      ['door', undefined],
    ])
    expect(await latest(`publisher=${site.channel.id}`)).toEqual([])
  })

  it('are paged by cursor', async () => {
    const { rows } = await walk('latest=true&limit=2')
    expect(rows).toEqual((await read('latest=true&limit=1000')).messages)
  })
})

describe('aggregation', () => {
  const range = `from=${START}&to=${START + 8 * HOUR}&interval=2h&dir=asc`
  const values = async (query: string) =>
    ((await read(`${range}&${query}`)).messages as Row[]).map(({ value }) => value)

  it('FIRST and LAST are the earliest and the latest value of each interval', async () => {
    expect(await values('name=temp&aggregation=FIRST')).toEqual([0, 20, 50, 60])
    expect(await values('name=temp&aggregation=last')).toEqual([10, 20, 50, 60])
  })

  it.each([
    ['null', [0, 10, 20, null, null, 50, 60, null]],
    ['previous', [0, 10, 20, 20, 20, 50, 60, 60]],
    ['LINEAR', [0, 10, 20, 30, 40, 50, 60, null]],
  ])('fill=%s answers every interval', async (fill, expected) => {
    const page = await read(
      `name=temp&aggregation=avg&interval=1h&from=${START}&to=${START + 8 * HOUR}&dir=asc&fill=${fill}`,
    )
    expect(page.total).toBe(8)
    expect(page.messages.map((row: Row) => row.value)).toEqual(expected)
    expect(page.messages.map((row: Row) => row.time)).toEqual(expected.map((_, i) => START + i * HOUR))
    expect(new Set(page.messages.map((row: Row) => row.name))).toEqual(new Set(['temp']))
  })

  it('is done for each name where several are asked for', async () => {
    const page = await read(
      `name=temp,energy&aggregation=sum&interval=12h&from=${START}&to=${START + 12 * HOUR}`,
    )
    expect(page.messages.map((row: Row) => [row.name, row.value]).sort()).toEqual([
      ['energy', 100],
      ['temp', 250],
    ])
  })

  it.each(['', '&fill=previous', '&name=temp,energy&fill=null'])('is paged by cursor %s', async (rest) => {
    const query = `aggregation=max&interval=1h&from=${START}&to=${START + 12 * HOUR}${rest}`
    const whole = await read(`${query}&limit=1000`)
    expect(whole.messages.length).toBeGreaterThan(3)
    const { rows, totals } = await walk(`${query}&limit=3`)
    expect(rows).toEqual(whole.messages)
    expect(new Set(totals)).toEqual(new Set([whole.total]))
  })

  it('answers an empty page behind the last interval with the total', async () => {
    expect(await read(`name=temp&aggregation=max&${range}&offset=100`)).toMatchObject({
      total: 4,
      messages: [],
    })
  })
})

describe('an answer', () => {
  it('has a tag, and is not sent again to who has it until something of the channel is stored', async () => {
    const first = await api.expect(200, 'GET', `${path}?limit=3`, { token: site.token })
    const tag = first.headers.get('etag') ?? ''
    const headers = { 'if-none-match': `"other", ${tag}` }
    const again = await api.call('GET', `${path}?limit=3`, { token: site.token, headers })
    expect([again.status, again.text, again.headers.get('etag')]).toEqual([304, '', tag])
    expect((await api.call('GET', `${path}?limit=4`, { token: site.token, headers })).status).toBe(200)
    expect((await api.call('GET', `${path}?limit=3`, { headers })).status).toBe(401)
    await publish([{ n: 'tagged', t: START - HOUR, v: 1 }])
    await eventually('it has changed', async () => {
      const { status } = await api.call('GET', `${path}?limit=3`, { token: site.token, headers })
      return status === 200
    })
  })

  it('says where a live tail goes on, without a gap or a repeat', async () => {
    const seen = new Set<number>()
    const publishing = (async () => {
      for (let v = 0; v < 200; v++) await publish([{ n: 'count', v }], `s${v % 3}`)
    })()
    await eventually('some of it is stored', async () => (await read('name=count&limit=1')).total > 50)
    const page = await read('name=count&limit=1000')
    for (const { value } of page.messages) seen.add(value)
    const stream = await openEventStream(
      `${gateway.url}${path}/live?name=count&last_event_id=${page.position}`,
      { authorization: `Bearer ${site.token}` },
    )
    await publishing
    const events = await stream.take(200 - seen.size)
    stream.close()
    for (const { data } of events) seen.add(data.value)
    expect([events.length + page.messages.length, seen.size]).toEqual([200, 200])
  })
})

it('a query that takes too long is ended with an error that says so', async () => {
  const own = await startTestGateway({ SLUICE_READ_TIMEOUT_S: '1' }, gateway.ground)
  const { Client } = await import('pg')
  const blocker = new Client({ connectionString: gateway.ground.databaseUrl })
  await blocker.connect()
  try {
    await blocker.query('begin; lock table samples in access exclusive mode')
    const answer = await createApi(own.url).call('GET', `${path}?name=temp`, { token: site.token })
    expect([answer.status, answer.body.error]).toEqual([503, 'query_timeout'])
  } finally {
    await blocker.end()
    await own.stop()
  }
})

it('a query has one time for all its statements, and not one for each', async () => {
  const db = createDatabase({ url: gateway.ground.databaseUrl, maxConnections: 1 })
  onTestFinished(() => db.destroy())
  const deadline = createDeadline(300)
  const slow = db.transaction().execute(async (trx) => {
    // Each of them is short enough by itself.
    for (let asked = 0; asked < 100; asked++) {
      await deadline.apply(trx)
      await sql`select pg_sleep(0.2)`.execute(trx)
    }
  })
  await expect(slow).rejects.toMatchObject({ kind: 'unavailable' })
})

describe('a name', () => {
  it('that has had numbers alone until then shows the text that comes, and all that came before', async () => {
    const once = async (total: number, record: Row) => {
      await publish([{ n: 'mixed', ...record }])
      await eventually('it is stored', async () => (await read('name=mixed')).total === total)
      return (await read('name=mixed&dir=asc')).messages as Row[]
    }
    expect(await once(1, { t: START, v: 1 })).toMatchObject([{ value: 1, time: START }])
    expect(await once(2, { t: START + 1, v: 2, s: 9 })).toMatchObject([{ value: 1 }, { value: 2, sum: 9 }])
    const rows = await once(3, { t: START + 2, vs: 'broken' })
    expect(rows).toMatchObject([{ value: 1 }, { value: 2, sum: 9 }, { string_value: 'broken' }])
    expect(rows[0]).not.toHaveProperty('sum')
  })
})

describe('the time of another JSON message', () => {
  it('has all its digits, in pages and in exports', async () => {
    await gateway.ground.query(
      `update json_messages set created = 1700000000123456789 where ctid = (select ctid from json_messages limit 1)`,
    )
    const digits = /"created":(\d+)/
    const asked = { token: site.token }
    const page = await api.expect(200, 'GET', `${path}?format=orders&dir=asc&limit=1`, asked)
    expect(page.headers.get('content-type')).toContain('application/json')
    expect(digits.exec(page.text)?.[1]).toBe('1700000000123456789')
    const lines = { token: site.token, headers: { accept: 'application/x-ndjson' } }
    const ndjson = await api.expect(200, 'GET', `${path}?format=orders&dir=asc`, lines)
    expect(digits.exec(ndjson.text)?.[1]).toBe('1700000000123456789')
    const table = { token: site.token, headers: { accept: 'text/csv' } }
    const csv = await api.expect(200, 'GET', `${path}?format=orders&dir=asc`, table)
    expect(csv.text).toContain('\r\n1700000000123456789,')
  })
})
