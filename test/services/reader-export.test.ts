import { once } from 'node:events'
import { get } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { parseCbor, parseJson } from '../../senml/parse.ts'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'
import { insertReadings } from '../support/readings.ts'

let gateway: TestGateway
let api: Api
let site: Awaited<ReturnType<Api['given']['site']>>
let path: string
let db: Client
const START = 1_700_006_400
const MANY = 30_000

beforeAll(async () => {
  gateway = await startTestGateway({ SLUICE_EXPORT_MAX_ROWS: '50000', SLUICE_READ_CONNECTIONS: '2' })
  api = createApi(gateway.url)
  db = new Client({ connectionString: gateway.ground.databaseUrl })
  await db.connect()
  site = await api.given.site()
  path = `/${site.domain.id}/channels/${site.channel.id}/messages`
  await publish([
    { n: 'temp', u: 'Cel', t: START, v: 21.5, ut: 60 },
    { n: 'temp', u: 'Cel', t: START + 60, v: -3 },
    { n: 'note', t: START + 1, vs: '=HYPERLINK("http://x","y")' },
    { n: 'text', t: START + 2, vs: 'a "quoted", text\r\nof two lines' },
    { n: 'door', t: START + 3, vb: false },
    { n: 'blob', t: START + 4, vd: 'aGk' },
    { n: 'energy', t: START + 5, s: 12.5 },
  ])
  await publish({ a: { b: '☃' }, c: '=1+1' }, 'orders', 'application/json')
  await eventually('it is stored', async () => {
    const stored = await page('limit=1')
    return stored.total === 7 && (await page('format=orders')).total === 1
  })
})
afterAll(async () => {
  await db.end()
  await gateway.stop()
})

const publish = (body: unknown, subtopic = '', type = 'application/senml+json') =>
  api.expect(202, 'POST', `/${site.topic}/${subtopic}`, { auth: site.auth, body, type })

const page = async (query: string) =>
  (await api.expect(200, 'GET', `${path}?${query}`, { token: site.token })).body

const ask = (query: string, accept: string, headers: Record<string, string> = {}) =>
  api.call('GET', `${path}?${query}`, { token: site.token, headers: { accept, ...headers } })

const lines = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)

describe('an export', () => {
  it('as NDJSON is a line for each message, as a page has it', async () => {
    const { status, headers, text } = await ask('', 'application/x-ndjson')
    expect([status, headers.get('content-type')]).toEqual([200, 'application/x-ndjson'])
    expect(lines(text)).toEqual((await page('limit=1000')).messages)
  })

  it('as CSV has a line of names, and nothing that a spreadsheet would calculate', async () => {
    const { headers, text } = await ask('order=time&dir=asc', 'text/csv')
    expect(headers.get('content-type')).toContain('text/csv')
    const tail = `,${site.client.id},http,${site.channel.id}\r\n`
    expect(text).toBe(
      'time,name,value,string_value,bool_value,data_value,sum,unit,update_time,subtopic,publisher,protocol,channel\r\n' +
        `${START},temp,21.5,,,,,Cel,60,${tail}` +
        `${START + 1},note,,"'=HYPERLINK(""http://x"",""y"")",,,,,,${tail}` +
        `${START + 2},text,,"a ""quoted"", text\r\nof two lines",,,,,,${tail}` +
        `${START + 3},door,,,false,,,,,${tail}` +
        `${START + 4},blob,,,,aGk,,,,${tail}` +
        `${START + 5},energy,,,,,12.5,,,${tail}` +
        `${START + 60},temp,-3,,,,,Cel,,${tail}`,
    )
  })

  it('as SenML is a pack that any reader of SenML takes, in JSON and in CBOR', async () => {
    const expected = [
      { n: 'temp', u: 'Cel', t: START, v: 21.5, ut: 60 },
      { n: 'note', t: START + 1, vs: '=HYPERLINK("http://x","y")' },
      { n: 'energy', t: START + 5, s: 12.5 },
    ]
    const query = 'name=temp,note,energy&dir=asc&limit=3'
    const json = await ask(query, 'application/senml+json')
    expect(json.headers.get('content-type')).toContain('application/senml+json')
    expect(parseJson(json.text)).toEqual(expected)
    const response = await fetch(`${gateway.url}${path}?${query}`, {
      headers: { accept: 'application/senml+cbor', authorization: `Bearer ${site.token}` },
    })
    expect(parseCbor(new Uint8Array(await response.arrayBuffer()))).toEqual(expected)
  })

  it('takes other JSON as NDJSON and CSV, and says that SenML has no form for it', async () => {
    const ndjson = await ask('format=orders', 'application/x-ndjson')
    expect(lines(ndjson.text)).toEqual((await page('format=orders')).messages)
    const csv = await ask('format=orders', 'text/csv')
    expect(csv.text).toContain(',"{""a"":{""b"":""☃""},""c"":""=1+1""}",orders,')
    const senml = await ask('format=orders', 'application/senml+json')
    expect([senml.status, senml.body.message]).toEqual([400, expect.stringContaining('format')])
  })

  it('takes any question: aggregation, fill, latest, order, and one that nothing answers', async () => {
    const filled = `aggregation=avg&interval=20s&from=${START}&to=${START + 80}&fill=null&name=temp&dir=asc`
    expect(lines((await ask(filled, 'application/x-ndjson')).text)).toEqual((await page(filled)).messages)
    // What has no value is no record.
    expect(parseJson((await ask(filled, 'application/senml+json')).text)).toHaveLength(2)
    expect(lines((await ask('latest=true', 'application/x-ndjson')).text)).toEqual(
      (await page('latest=true')).messages,
    )
    expect(lines((await ask('order=name&offset=2&limit=3', 'application/x-ndjson')).text)).toEqual(
      (await page('order=name&offset=2&limit=3')).messages,
    )
    expect((await ask('name=nothing', 'application/x-ndjson')).text).toBe('')
    expect((await ask('name=nothing', 'application/senml+json')).text).toBe('[]')
    expect((await ask('name=nothing', 'text/csv')).text).toMatch(/^time,.*\r\n$/)
  })

  it('has a tag of its own, and is not sent to who has it', async () => {
    const first = await ask('', 'text/csv')
    const tag = first.headers.get('etag') ?? ''
    expect((await ask('', 'text/csv', { 'if-none-match': tag })).status).toBe(304)
    expect((await ask('', 'application/x-ndjson', { 'if-none-match': tag })).status).toBe(200)
  })

  it.each(['*/*', 'application/json', 'text/html', 'application/json, text/csv;q=0.5'])(
    'is nothing that a caller gets with Accept: %s',
    async (accept) => {
      expect((await ask('', accept)).body).toMatchObject({ total: 7, limit: 10 })
    },
  )

  it('is refused with 401, 403, 404 and 400 like a page', async () => {
    const headers = { accept: 'text/csv' }
    expect((await api.call('GET', path, { headers })).status).toBe(401)
    const stranger = await api.given.person()
    expect((await api.call('GET', path, { headers, token: stranger.token })).status).toBe(403)
    const missing = `/${site.domain.id}/channels/${site.client.id}/messages`
    expect((await api.call('GET', missing, { headers, token: site.token })).status).toBe(404)
    expect((await ask('from=then', 'text/csv')).body.message).toContain('from')
    expect((await ask('cursor=then', 'text/csv')).body.message).toContain('cursor')
  })
})

describe('a long export', () => {
  it('comes whole and in order, beyond any page', async () => {
    const long = await given(MANY)
    const { text } = await api.expect(200, 'GET', `${long.path}?dir=asc`, {
      token: long.token,
      headers: { accept: 'application/x-ndjson' },
    })
    const values = lines(text).map((row) => (row as { value: number }).value)
    expect(values).toEqual(Array.from({ length: MANY }, (_, i) => i))
  })

  it('names each reading, of however many series', async () => {
    const wide = await given(25_000, 12_000)
    const { text } = await api.expect(200, 'GET', `${wide.path}?dir=asc`, {
      token: wide.token,
      headers: { accept: 'application/x-ndjson' },
    })
    const names = lines(text).map((row) => (row as { name: string }).name)
    expect(names).toEqual(Array.from({ length: 25_000 }, (_, i) => `long${i % 12_000}`))
  })

  it('is cut off at the bound, so that nobody takes it for the whole', async () => {
    const long = await given(60_000)
    const answer = api.call('GET', long.path, { token: long.token, headers: { accept: 'text/csv' } })
    await expect(answer).rejects.toThrow()
  })

  it('ends its query when the caller goes away, and gives its place to the next', async () => {
    const long = await given(MANY)
    const headers = { accept: 'application/x-ndjson', authorization: `Bearer ${long.token}` }
    // Reads nothing of it, so that Postgres has to wait.
    const request = get(`${gateway.url}${long.path}`, { headers })
    const status = await new Promise((resolve) => {
      request.once('response', (response) => resolve(response.statusCode))
    })
    expect(status).toBe(200)
    const second = await api.call('GET', long.path, { token: long.token, headers: { accept: 'text/csv' } })
    expect([second.status, second.body.error]).toEqual([429, 'too_many_exports'])
    request.on('error', () => undefined)
    request.destroy()
    await eventually('its place is free', async () => (await ask('', 'text/csv')).status === 200)
    await eventually('its transaction is over', async () => {
      const { rows } = await db.query(
        `select 1 from pg_stat_activity where state = 'idle in transaction' and query like 'fetch%'`,
      )
      return rows.length === 0
    })
  })

  it('is cut off when its reader takes nothing for too long, which is counted', async () => {
    const hasty = await startTestGateway({ SLUICE_EXPORT_STALL_S: '1' }, gateway.ground)
    onTestFinished(() => hasty.stop())
    const long = await given(50_000)
    const headers = { accept: 'application/x-ndjson', authorization: `Bearer ${long.token}` }
    const request = get(`${hasty.url}${long.path}`, { headers })
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    await eventually('it is counted', async () =>
      /^sluice_refused_total\{protocol="http",reason="slow"\} 1$/m.test(
        (await createApi(hasty.url).call('GET', '/metrics')).text,
      ),
    )
    await expect(response.toArray()).rejects.toThrow()
  })

  it('is cut off when its reader may not read any more', async () => {
    const own = await api.given.site()
    await insertReadings(db, {
      domainId: own.domain.id,
      channelId: own.channel.id,
      count: 50_000,
      start: START,
    })
    const headers = { accept: 'application/x-ndjson', authorization: own.auth }
    const exported = `/${own.domain.id}/channels/${own.channel.id}/messages`
    const request = get(`${gateway.url}${exported}`, { headers })
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    await api.expect(204, 'POST', `/${own.domain.id}/channels/disconnect`, {
      token: own.token,
      body: { channel_ids: [own.channel.id], client_ids: [own.client.id] },
    })
    await eventually('its place is free', async () => (await ask('', 'text/csv')).status === 200)
    await expect(response.toArray()).rejects.toThrow()
  })

  it('leaves room for those of other domains', async () => {
    const wide = await startTestGateway({ SLUICE_READ_CONNECTIONS: '4' }, gateway.ground)
    onTestFinished(() => wide.stop())
    const [long, other] = [await given(MANY), await given(1)]
    const headers = { accept: 'application/x-ndjson' }
    const request = get(`${wide.url}${long.path}`, {
      headers: { ...headers, authorization: `Bearer ${long.token}` },
    })
    request.on('error', () => undefined)
    onTestFinished(() => void request.destroy())
    await once(request, 'response')
    const { call } = createApi(wide.url)
    expect((await call('GET', long.path, { token: long.token, headers })).status).toBe(429)
    expect((await call('GET', other.path, { token: other.token, headers })).status).toBe(200)
  })
})

/** A channel with so many readings of so many series, put into the database as the writer would. */
async function given(count: number, series = 1) {
  const one = await api.given.site()
  await insertReadings(db, {
    domainId: one.domain.id,
    channelId: one.channel.id,
    count,
    start: START,
    series,
  })
  return { path: `/${one.domain.id}/channels/${one.channel.id}/messages`, token: one.token }
}
