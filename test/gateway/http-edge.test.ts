import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pathsOf } from '../../platform/http/endpoint.ts'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

let gateway: TestGateway
let api: Api
let token: string
beforeAll(async () => {
  gateway = await startTestGateway({ SLUICE_MAX_BODY_BYTES: '2000' })
  api = createApi(gateway.url)
  token = (await api.given.person()).token
})
afterAll(() => gateway.stop())

describe('every error', () => {
  it.each([
    ['an unknown route', 'GET', '/no/such/route', 404],
    ['an unknown verb of a known route', 'DELETE', '/users/profile', 405],
    ['an id that is none', 'GET', '/users/xyz', 400],
  ])('%s answers JSON with error and message', async (_what, method, path, status) => {
    const answer = await api.call(method, path, { token })
    expect(answer.status).toBe(status)
    expect(answer.headers.get('content-type')).toContain('application/json')
    expect(Object.keys(answer.body)).toEqual(['error', 'message'])
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
  })

  it('names the verbs that a route does have', async () => {
    const answer = await api.call('DELETE', '/domains', { token })
    expect(answer.headers.get('allow')).toContain('POST')
  })

  it('comes for malformed JSON as 400 that says where, and the connection goes on', async () => {
    const answer = await api.call('POST', '/domains', { token, body: '{"name": "x",' })
    expect(answer.status).toBe(400)
    expect(answer.body.message).toContain('malformed JSON')
    await api.expect(201, 'POST', '/domains', { token, body: { name: 'x' } })
  })

  it('comes for a body that does not say it is JSON as 415', async () => {
    const answer = await api.call('POST', '/domains', { token, body: '{"name":"x"}', type: 'text/plain' })
    expect(answer.status).toBe(415)
  })

  it('comes for a body over the limit as 413', async () => {
    const answer = await api.call('POST', '/domains', { token, body: { name: 'x'.repeat(3000) } })
    expect(answer.status).toBe(413)
    expect(answer.body.message).toContain('2000')
  })

  it('comes for a stranger before anything else is looked at', async () => {
    expect((await api.call('POST', '/domains', { body: '{' })).status).toBe(401)
    expect((await api.call('GET', '/not-a-domain/clients?limit=9999')).status).toBe(401)
  })
})

describe('the leniencies of official clients', () => {
  it('ignores a JSON content type without a body', async () => {
    await api.expect(200, 'GET', '/domains', { token, headers: { 'content-type': 'application/json' } })
    const answer = await api.call('POST', '/domains', {
      token,
      headers: { 'content-type': 'application/json' },
    })
    expect(answer.status).toBe(400)
  })

  it('takes a trailing slash, a trailing ampersand, and a second question mark as an ampersand', async () => {
    await api.expect(200, 'GET', '/domains/', { token })
    await api.expect(200, 'GET', '/domains?offset=0&limit=5&', { token })
    const { body } = await api.expect(200, 'GET', '/domains?limit=7?roles=true', { token })
    expect(body.limit).toBe(7)
  })

  it('ignores unknown fields and parameters', async () => {
    await api.expect(201, 'POST', '/domains', {
      token,
      body: { name: 'x', permission: 'admin', id: '', colour: 1 },
    })
    await api.expect(200, 'GET', '/domains?with_metadata=false&created_from=0001-01-01T00:00:00Z', { token })
  })
})

describe('a browser of another origin', () => {
  it('gets its preflight answered, authorization included', async () => {
    const answer = await api.call('OPTIONS', '/domains', {
      headers: { 'access-control-request-method': 'POST' },
    })
    expect(answer.status).toBe(204)
    expect(answer.headers.get('access-control-allow-headers')).toContain('Authorization')
  })
})

describe('health', () => {
  it('says that the process lives, can work, and passes', async () => {
    await api.expect(200, 'GET', '/healthz')
    await api.expect(200, 'GET', '/readyz')
    const answer = await api.expect(200, 'GET', '/health')
    expect(answer.headers.get('content-type')).toContain('application/health+json')
    expect(answer.body).toMatchObject({ status: 'pass', description: 'sluice service' })
    await api.expect(200, 'GET', '/http/health')
  })

  it('counts for Prometheus', async () => {
    const { text } = await api.expect(200, 'GET', '/metrics')
    expect(text).toContain('sluice_connections')
    expect(text).toContain('sluice_readings_stored_total')
  })
})

describe('a raw socket', () => {
  it('that is no HTTP gets a 400 and hurts nobody', async () => {
    const { port } = new URL(gateway.url)
    const status = await new Promise((resolve, reject) => {
      const probe = request({
        port,
        host: '127.0.0.1',
        path: '/healthz',
        headers: { 'x-long': 'y'.repeat(40_000) },
      })
      probe.on('response', (response) => resolve(response.statusCode))
      probe.on('error', reject)
      probe.end()
    })
    expect([400, 431]).toContain(status)
    await api.expect(200, 'GET', '/healthz')
  })
})

it('who calls is asked before anything else is read, on every route that asks at all', async () => {
  const asked = gateway.endpoints.filter(({ access }) => access !== 'anyone')
  expect(asked.length).toBeGreaterThan(100)
  for (const one of asked) {
    for (const path of pathsOf(one)) {
      const target = path.replaceAll(/[:*][a-z_]+/gi, 'x')
      const body = one.method === 'get' ? undefined : '{"malformed'
      const answer = await api.call(one.method.toUpperCase(), `${target}?limit=x&offset=-1&cursor=x`, {
        body,
      })
      expect([one.method, path, answer.status]).toEqual([one.method, path, 401])
    }
  }
})
