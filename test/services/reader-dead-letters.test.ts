import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

let gateway: TestGateway
let api: Api
let site: Awaited<ReturnType<Api['given']['site']>>
let path: string

beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
})
beforeEach(async () => {
  site = await api.given.site()
  path = `/${site.domain.id}/channels/${site.channel.id}/dead-letters`
})
afterAll(() => gateway.stop())

/** JSON by its declaration, which the door does not look into. */
const publish = (body: string | Uint8Array, subtopic = '') =>
  api.expect(202, 'POST', `/${site.topic}/${subtopic}`, { auth: site.auth, body, type: 'application/json' })

const list = async (query = '') =>
  (await api.expect(200, 'GET', `${path}?${query}`, { token: site.token })).body

const dead = (count: number) =>
  eventually(`${count} dead letters`, async () => {
    const page = await list('limit=100')
    return page.total === count && page
  })

describe('dead letters', () => {
  it('show what could not be stored, and why', async () => {
    await publish('{"a":', 'floor/1')
    await publish(Uint8Array.of(0x7b, 0xff, 0xfe))
    const page = await dead(2)
    expect(page.dead_letters).toHaveLength(2)
    expect(page.dead_letters[0]).toMatchObject({
      reason: expect.stringContaining('invalid_json'),
      channel: site.channel.id,
      subtopic: 'floor/1',
      publisher: site.client.id,
      protocol: 'http',
      content_type: 'application/json',
      payload: Buffer.from('{"a":').toString('base64'),
      text: '{"a":',
    })
    expect(page.dead_letters[0].stream_sequence).toBeGreaterThan(0)
    expect(page.dead_letters[1]).toMatchObject({ payload: 'e//+' })
    expect(page.dead_letters[1]).not.toHaveProperty('text')
  })

  it('are paged by cursor, in the order they died', async () => {
    for (let i = 0; i < 7; i++) await publish(`{"i":${i}`, i % 2 ? 'odd' : '')
    await dead(7)
    const texts: string[] = []
    let cursor: string | undefined = ''
    while (cursor !== undefined) {
      const page = await list(`limit=3&cursor=${cursor}`)
      texts.push(...page.dead_letters.map(({ text }: { text: string }) => text))
      cursor = page.cursor
    }
    expect(texts).toEqual(Array.from({ length: 7 }, (_, i) => `{"i":${i}`))
  })

  it('come in pages of about a MiB, whatever the limit says', async () => {
    for (let i = 0; i < 6; i++) await publish(`{"i":${i}${' '.repeat(250_000)}`)
    await eventually('six', async () => (await list('limit=1')).total === 6)
    const first = await list('limit=100')
    expect(first.dead_letters).toHaveLength(4)
    const second = await list(`limit=100&cursor=${first.cursor}`)
    expect(second.dead_letters).toHaveLength(2)
    expect(second.cursor).toBeUndefined()
  })

  it('go on their way again and are gone; what is still broken comes back', async () => {
    await publish('{"a":')
    const { dead_letters: letters } = await dead(1)
    await api.expect(202, 'POST', `${path}/${letters[0].sequence}/replay`, { token: site.token })
    const again = await eventually('it is back', async () => {
      const page = await list()
      return page.total === 1 && page.dead_letters[0].sequence !== letters[0].sequence && page
    })
    expect(again.dead_letters[0]).toMatchObject({
      publisher: site.client.id,
      received_at: letters[0].received_at,
      payload: letters[0].payload,
    })
    const gone = await api.call('POST', `${path}/${letters[0].sequence}/replay`, { token: site.token })
    expect(gone.status).toBe(404)
  })

  it('are thrown away by who may publish, and not by who may only read', async () => {
    await publish('{"a":')
    const [letter] = (await dead(1)).dead_letters
    const client = await api.given.client(site.token, site.domain.id)
    await api.given.connection(site.token, site.domain.id, site.channel.id, client.id, ['subscribe'])
    const auth = `Client ${client.credentials.secret}`
    expect((await api.call('GET', path, { auth })).status).toBe(200)
    expect((await api.call('DELETE', `${path}/${letter.sequence}`, { auth })).status).toBe(403)
    expect((await api.call('POST', `${path}/${letter.sequence}/replay`, { auth })).status).toBe(403)
    await api.expect(204, 'DELETE', `${path}/${letter.sequence}`, { token: site.token })
    expect((await api.call('DELETE', `${path}/${letter.sequence}`, { token: site.token })).status).toBe(404)
    expect((await list()).total).toBe(0)
  })

  it('are nobody else’s: not in another channel, not in another domain', async () => {
    await publish('{"a":')
    const [letter] = (await dead(1)).dead_letters
    const other = await api.given.site()
    const theirs = `/${other.domain.id}/channels/${other.channel.id}/dead-letters`
    expect((await api.expect(200, 'GET', theirs, { token: other.token })).body.total).toBe(0)
    for (const [method, end] of [
      ['DELETE', ''],
      ['POST', '/replay'],
    ] as const) {
      const answer = await api.call(method, `${theirs}/${letter.sequence}${end}`, { token: other.token })
      expect(answer.status).toBe(404)
    }
    expect((await list()).total).toBe(1)
  })

  it('are refused with 401, 403 and 404 like reading', async () => {
    expect((await api.call('GET', path)).status).toBe(401)
    const stranger = await api.given.person()
    expect((await api.call('GET', path, { token: stranger.token })).status).toBe(403)
    const missing = `/${site.domain.id}/channels/${site.client.id}/dead-letters`
    expect((await api.call('GET', missing, { token: site.token })).status).toBe(404)
  })

  it.each([
    ['GET', '?limit=101', 'limit'],
    ['GET', '?cursor=nonsense', 'cursor'],
    ['GET', `?cursor=${Buffer.from('["other",1]').toString('base64url')}`, 'cursor'],
    ['GET', `?cursor=${Buffer.from('["dead-letters","x"]').toString('base64url')}`, 'cursor'],
    ['DELETE', '/zero', 'seq'],
    ['DELETE', '/0', 'seq'],
    ['POST', '/1.5/replay', 'seq'],
  ])('are refused with 400 for %s %s', async (method, end, field) => {
    const answer = await api.call(method, path + end, { token: site.token })
    expect(answer.status).toBe(400)
    expect(answer.body.message).toContain(field)
  })
})
