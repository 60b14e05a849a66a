import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { OpenApiDocument, Operation } from '../../gateway/http/openapi.ts'
import { toTemplate } from '../../gateway/http/openapi.ts'
import { PUBLISH_DOCS } from '../../gateway/http/publish-docs.ts'
import { pathsOf } from '../../platform/http/endpoint.ts'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

let gateway: TestGateway
let api: Api
let document: OpenApiDocument
let operations: { method: string; path: string; operation: Operation }[]
beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
  document = (await api.expect(200, 'GET', '/openapi.json')).body
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method, path, operation })),
  )
})
afterAll(() => gateway.stop())

const namesOf = (endpoints: readonly { method: string; path: string | readonly string[] }[]) =>
  endpoints.flatMap((one) => pathsOf(one).map((path) => `${one.method} ${toTemplate(path)}`)).sort()

describe('the OpenAPI document', () => {
  it('is of version 3.1, and names every operation once', () => {
    expect(document.openapi).toBe('3.1.0')
    expect(document.info.version).toMatch(/^\d+\.\d+\.\d+/)
    const ids = operations.map(({ operation }) => operation.operationId)
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('holds every route, and no other', () => {
    const documented = operations.map(({ method, path }) => `${method} ${path}`).sort()
    expect(documented).toEqual([...namesOf(gateway.endpoints), ...namesOf(PUBLISH_DOCS)].sort())
  })

  it('names only what is served', async () => {
    for (const { method, path } of operations) {
      const place = path
        .replace('{type}', 'client')
        .replace(/\{domain\}|\{channel\}|\{\w+\}/g, () => randomUUID())
      const { status, body } = await api.call(method.toUpperCase(), place)
      expect([method, place, status, body?.message]).not.toEqual([method, place, 404, 'no such route'])
      expect([method, place, status]).not.toEqual([method, place, 405])
    }
  })

  it('says of what is for users alone that it needs a token, and 401 is what comes without', async () => {
    for (const { method, path, operation } of operations) {
      if (operation.security.length === 0) continue
      const place = path.replace('{type}', 'client').replace(/\{\w+\}/g, () => randomUUID())
      const answer = await api.call(method.toUpperCase(), place)
      expect([method, place, answer.status]).toEqual([method, place, 401])
    }
  })

  it('declares every parameter of a path', () => {
    for (const { path, operation } of operations) {
      const wanted = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      const declared = operation.parameters.filter((one) => one.in === 'path').map((one) => one.name)
      expect([path, declared]).toEqual([path, wanted])
    }
  })

  it('shows queries, bodies and answers in the form that is checked', () => {
    const list = document.paths['/users']?.['get']
    expect(list?.parameters.find((one) => one.name === 'limit')?.schema).toMatchObject({
      type: 'integer',
      maximum: 100,
    })
    const create = document.paths['/users']?.['post']
    expect(create?.requestBody?.content['application/json'].schema).toMatchObject({
      type: 'object',
      required: ['first_name', 'last_name', 'email', 'credentials'],
    })
    const created = create?.responses['201'] as { content: Record<string, { schema: unknown }> }
    expect(created.content['application/json']?.schema).toMatchObject({
      properties: { id: { type: 'string', format: 'uuid' } },
    })
  })
})

describe('answers', () => {
  it('have the form that the document says, and nothing beyond', async () => {
    const site = await api.given.site()
    const { token } = site
    const pat = await api.expect(201, 'POST', '/pats', { token, body: { name: 'x', duration: '1h' } })
    for (const [method, path, place = path] of [
      ['get', '/users'],
      ['get', '/users/profile'],
      ['get', '/users/search', '/users/search?username=abc'],
      ['get', '/users/:user', `/users/${site.person.id}`],
      ['patch', '/users/:user', `/users/${site.person.id}`],
      ['get', '/users/tokens/refresh-tokens'],
      ['get', '/.well-known/jwks.json'],
      ['get', '/pats'],
      ['get', '/pats/:pat', `/pats/${pat.body.id}`],
      ['get', '/pats/:pat/scope', `/pats/${pat.body.id}/scope`],
      ['get', '/journal/user/:user', `/journal/user/${site.person.id}?with_attributes=true`],
      ['get', '/health'],
      ['get', '/readyz'],
    ] as const) {
      const found = gateway.endpoints.find((one) => one.method === method && pathsOf(one).includes(path))
      const { body } = await api.expect(200, method.toUpperCase(), place, {
        token,
        body: method === 'patch' ? {} : undefined,
      })
      // Parsing leaves out what the schema does not name.
      expect([path, found?.response?.parse(body)]).toEqual([path, body])
    }
  })
})

describe('the page for people', () => {
  it('shows every operation, and asks nothing of anybody else', async () => {
    const page = await api.expect(200, 'GET', '/docs')
    expect(page.headers.get('content-type')).toContain('text/html')
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'")
    for (const { path, operation } of operations) {
      expect(page.text).toContain(`id="${operation.operationId}"`)
      expect(page.text).toContain(path)
    }
    expect(page.text).not.toMatch(/(?:src|href)="(?:https?:)?\/\//)
    expect(page.text).not.toContain('<script')
  })
})
