import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Answer, Api } from '../support/api.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

let gateway: TestGateway
let api: Api
let mine: Site
let theirs: Site
type Site = Awaited<ReturnType<Api['given']['site']>>
beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
  mine = await api.given.site()
  theirs = await api.given.site()
})
afterAll(() => gateway.stop())

const told = ({ status, body }: Answer) => ({ status, body })

describe('another tenant', () => {
  it.each([
    ['GET', (d: string) => `/domains/${d}`],
    ['GET', (d: string) => `/${d}/clients`],
    ['GET', (d: string) => `/${d}/channels`],
    ['GET', (d: string) => `/${d}/groups`],
    ['POST', (d: string) => `/${d}/clients`],
    ['POST', (d: string) => `/${d}/channels/bulk`],
    ['POST', (d: string) => `/${d}/groups`],
    ['POST', (d: string) => `/${d}/connect`],
  ])('%s in a foreign domain answers as for a domain that does not exist', async (method, path) => {
    const body =
      method === 'POST' ? { name: 'x', channel_ids: [randomUUID()], client_ids: [randomUUID()] } : undefined
    const input = path('x').endsWith('bulk') ? [{ name: 'x' }] : body
    const foreign = await api.call(method, path(theirs.domain.id), { token: mine.token, body: input })
    const missing = await api.call(method, path(randomUUID()), { token: mine.token, body: input })
    expect(foreign.status).toBe(403)
    expect(told(foreign)).toEqual(told(missing))
  })

  it.each([
    ['GET', (s: Site) => `/clients/${s.client.id}`],
    ['GET', (s: Site) => `/channels/${s.channel.id}`],
    ['PUT', (s: Site) => `/channels/${s.channel.id}`],
    ['GET', (s: Site) => `/channels/${s.channel.id}/messages`],
  ])(
    '%s of a foreign entity through one’s own domain answers as for one that does not exist',
    async (method, path) => {
      const body = method === 'PUT' ? { name: 'stolen' } : undefined
      const ghost = { ...theirs, client: { id: randomUUID() }, channel: { id: randomUUID() } }
      const foreign = await api.call(method, `/${mine.domain.id}${path(theirs)}`, { token: mine.token, body })
      const missing = await api.call(method, `/${mine.domain.id}${path(ghost)}`, { token: mine.token, body })
      expect(foreign.status).toBe(404)
      expect(told(foreign)).toEqual(told(missing))
    },
  )

  it('reads no messages by channel id alone, neither with a token nor with a secret', async () => {
    const path = `/channels/${theirs.channel.id}/messages`
    expect((await api.call('GET', path, { token: mine.token })).status).toBe(403)
    expect((await api.call('GET', path, { auth: mine.auth })).status).toBe(401)
  })

  it('publishes nowhere with a secret of its own', async () => {
    const body = '[{"n":"x","v":1}]'
    const answer = await api.call('POST', `/${theirs.topic}`, {
      auth: mine.auth,
      body,
      type: 'application/senml+json',
    })
    expect(answer.status).toBe(401)
  })

  it('sees nothing of the others in lists over all domains', async () => {
    const { text } = await api.expect(200, 'GET', '/clients?limit=100', { token: mine.token })
    expect(text).not.toContain(theirs.client.id)
    const { text: channels } = await api.expect(200, 'GET', '/channels?limit=100', { token: mine.token })
    expect(channels).not.toContain(theirs.channel.id)
  })

  it('cannot take a foreign group for a parent, nor find out whether it exists', async () => {
    const { body: group } = await api.expect(201, 'POST', `/${theirs.domain.id}/groups`, {
      token: theirs.token,
      body: { name: 'g' },
    })
    const create = (parent: string) =>
      api.call('POST', `/${mine.domain.id}/clients`, { token: mine.token, body: { parent_group_id: parent } })
    const [foreign, missing] = [await create(group.id), await create(randomUUID())]
    expect(told(foreign)).toEqual(told(missing))
    expect(foreign.status).toBe(404)
  })
})
