import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

let gateway: TestGateway
let api: Api
let site: Awaited<ReturnType<Api['given']['site']>>
let path: string
const DAY = 86_400
const START = 1_700_006_400 // midnight, a multiple of a day

beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
  site = await api.given.site()
  path = `/${site.domain.id}/channels/${site.channel.id}/messages`
  const records = []
  for (let hour = 0; hour < 48; hour++) {
    records.push({ n: 'temp', u: 'Cel', t: START + hour * 3_600, v: hour, ...(hour === 0 ? { ut: 60 } : {}) })
  }
  await publish(records)
  await publish(
    [
      { n: 'door', t: START, vb: true },
      { n: 'note', t: START + 1, vs: 'hello\tworld\n\\N' },
    ],
    'floor/1',
  )
  await publish(
    [
      { n: 'blob', t: START + 2, vd: 'aGk' },
      { n: 'energy', t: START + 3, s: 12.5 },
    ],
    'floor/1',
  )
  await eventually('everything is stored', async () => (await read('only_total=1&limit=1')).total === 52)
})
afterAll(() => gateway.stop())

const publish = (body: unknown, subtopic = '', type = 'application/senml+json') =>
  api.expect(202, 'POST', `/${site.topic}/${subtopic}`, { auth: site.auth, body, type })

async function read(query: string) {
  return (await api.expect(200, 'GET', `${path}?${query}`, { token: site.token })).body
}

const names = async (query: string) => (await read(query)).messages.map((m: { name: string }) => m.name)
const values = async (query: string) => (await read(query)).messages.map((m: { value: number }) => m.value)

describe('stored readings', () => {
  it('come newest first, ten at a time, with what the contract says of each', async () => {
    const page = await read('')
    expect(page).toMatchObject({ offset: 0, limit: 10, format: 'messages', total: 52 })
    expect(page.messages).toHaveLength(10)
    expect(page.messages[0]).toEqual({
      channel: site.channel.id,
      publisher: site.client.id,
      protocol: 'http',
      name: 'temp',
      unit: 'Cel',
      time: START + 47 * 3_600,
      value: 47,
    })
  })

  it('keep text, truth, data, sums and update times as they were sent', async () => {
    expect((await read('name=note')).messages[0]).toMatchObject({
      string_value: 'hello\tworld\n\\N',
      subtopic: 'floor/1',
    })
    expect((await read('name=door')).messages[0].bool_value).toBe(true)
    expect((await read('name=blob')).messages[0].data_value).toBe('aGk')
    expect((await read('name=energy')).messages[0]).toMatchObject({ sum: 12.5 })
    expect((await read('name=temp&v=0')).messages[0].update_time).toBe(60)
  })

  it('are paged without overlap or gap', async () => {
    const all: number[] = []
    for (let offset = 0; offset < 52; offset += 7)
      all.push(...(await values(`limit=7&offset=${offset}&order=time&dir=asc`)))
    expect(all).toHaveLength(52)
    expect(all.filter((value) => value !== undefined)).toEqual(Array.from({ length: 48 }, (_, i) => i))
  })

  it.each([
    ['name=temp&limit=1000', 48],
    ['name=temp&limit=1', 48],
    // Whole days and parts of days, on pages that do not say it themselves.
    [`from=${START + 5 * 3_600}&to=${START + 30 * 3_600}&limit=1`, 25],
    [`from=${START - 10 * DAY}&limit=1`, 52],
    [`from=${START + DAY}&limit=1`, 24],
    [`to=${START + 3_600}&limit=1`, 5],
    [`from=-1e300&to=1e300&limit=1`, 52],
    ['limit=5&offset=50', 52],
    ['limit=5&offset=60', 52],
    [`from=${START}&to=${START + 4}`, 5],
    [`from=${START * 1000}&to=${START * 1000 + 2000}`, 3],
    ['subtopic=floor/1', 4],
    ['subtopic=/floor/1/', 4],
    ['protocol=mqtt', 0],
    ['name=temp&v=40&comparator=ge', 8],
    ['name=temp&value=3&comparator=lt', 3],
    ['vb=true', 1],
    ['vs=hello&comparator=ge', 1],
    ['vs=hello', 0],
    ['vd=aGk', 1],
    ['format=nothing-of-that-name', 0],
  ])('are filtered by %s', async (query, total) => {
    expect((await read(query)).total).toBe(total)
  })

  it('are filtered by publisher, and an id that is none finds nothing', async () => {
    expect((await read(`publisher=${site.client.id}`)).total).toBe(52)
    expect((await read(`publisher=${randomUUID()}`)).total).toBe(0)
    expect((await read('publisher=nobody')).total).toBe(0)
  })

  it('are ordered by what is asked, and by time where the order is unknown', async () => {
    expect(await values('name=temp&order=value&dir=asc&limit=3')).toEqual([0, 1, 2])
    expect(await names('order=colour&dir=asc&limit=1')).toEqual(['temp'])
  })

  it('say back the filters that were given', async () => {
    expect(await read(`name=temp&from=${START}&v=3&order=time&dir=asc`)).toMatchObject({
      name: 'temp',
      from: START,
      v: 3,
      order: 'time',
      dir: 'asc',
    })
  })

  it('are read by a device that may subscribe, with the channel alone in the path', async () => {
    for (const auth of [
      site.auth,
      `Basic ${Buffer.from(`${site.client.id}:${site.secret}`).toString('base64')}`,
    ]) {
      const { body } = await api.expect(200, 'GET', `/channels/${site.channel.id}/messages?limit=1`, { auth })
      expect(body.total).toBe(52)
    }
  })

  it('are read with the subtopic glued to the path, as one SDK sends it', async () => {
    const { body } = await api.expect(200, 'GET', `${path}/floor/1?limit=0`, { token: site.token })
    expect(body).toMatchObject({ total: 4, limit: 10 })
  })

  it.each([
    'limit=1001',
    'offset=-1',
    'comparator=near',
    'dir=up',
    'v=much',
    'from=then',
    'aggregation=max',
    `aggregation=median&from=1&to=2`,
    `interval=soon&aggregation=avg&from=1&to=2`,
  ])('are refused with 400 for %s', async (query) => {
    const answer = await api.call('GET', `${path}?${query}`, { token: site.token })
    expect(answer.status).toBe(400)
    expect(answer.body.message).toContain(query.split('=')[0])
  })
})

describe('aggregation', () => {
  const daily = (how: string) =>
    read(`name=temp&aggregation=${how}&interval=24h&from=${START}&to=${START + 2 * DAY}&dir=asc`)

  it.each([
    ['AVG', [11.5, 35.5]],
    ['max', [23, 47]],
    ['Min', [0, 24]],
    ['sum', [276, 852]],
    ['COUNT', [24, 24]],
  ])('%s gives one value for each interval that holds a reading', async (how, expected) => {
    const page = await daily(how)
    expect(page.total).toBe(2)
    expect(page.messages.map((m: { value: number }) => m.value)).toEqual(expected)
    expect(page.messages.map((m: { time: number }) => m.time)).toEqual([START, START + DAY])
    expect(page.messages[0]).toMatchObject({ name: 'temp', unit: 'Cel', publisher: site.client.id })
  })
})

describe('other JSON', () => {
  it('is stored as it is and read by its format, the last level of the subtopic', async () => {
    await publish([{ a: 1 }, { a: { b: '☃' } }], 'line/orders', 'application/json')
    const page = await eventually('it is stored', async () => {
      const found = await read('format=orders&dir=asc')
      return found.total === 2 && found
    })
    expect(page.messages.map((m: { payload: unknown }) => m.payload)).toEqual([{ a: 1 }, { a: { b: '☃' } }])
    expect(page.messages[0]).toMatchObject({
      subtopic: 'line/orders',
      protocol: 'http',
      publisher: site.client.id,
    })
  })

  it('keeps all the digits of its numbers, in pages and exports', async () => {
    const body =
      '{"a": "12345678901234567890 \\" 1e400", "id": 12345678901234567890, "long": 0.12345678901234567890, "small": 1.5e-7, "sum": 0.30000000000000004}'
    const sent = { auth: site.auth, body: Buffer.from(body), type: 'application/json' }
    await api.expect(202, 'POST', `/${site.topic}/exact`, sent)
    await eventually('it is stored', async () => (await read('format=exact')).total === 1)
    const path = `/${site.domain.id}/channels/${site.channel.id}/messages?format=exact`
    for (const accept of ['application/json', 'application/x-ndjson']) {
      const answer = await fetch(gateway.url + path, {
        headers: { authorization: `Bearer ${site.token}`, accept },
      })
      expect(await answer.text()).toContain(
        '{"a":"12345678901234567890 \\" 1e400","id":12345678901234567890,"sum":0.30000000000000004,' +
          '"long":0.12345678901234567890,"small":1.5e-7}',
      )
    }
  })
})
