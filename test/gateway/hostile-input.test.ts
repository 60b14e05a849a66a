import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Answer, Api, CallOptions } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

let gateway: TestGateway
let api: Api
let site: Awaited<ReturnType<Api['given']['site']>>
beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
  site = await api.given.site()
})
afterAll(() => gateway.stop())

const person = (more: string) =>
  `{"first_name":"a","last_name":"b","email":"zz@example.com","credentials":{"username":"zzzz","secret":"12345678"},${more}}`

describe('text that no database can hold', () => {
  it.each<[string, string, string, CallOptions, string]>([
    [
      'a username',
      'POST',
      '/users/tokens/issue',
      { body: '{"username":"a\\u0000","password":"x"}' },
      'username',
    ],
    ['metadata', 'POST', '/users', { body: person('"metadata":{"a":"\\ud800"}') }, 'metadata.a'],
    ['a name inside metadata', 'POST', '/users', { body: person('"metadata":{"\\udc00":1}') }, 'metadata'],
    ['a tag', 'POST', '/users', { body: person('"tags":["ok","\\u0000"]') }, 'tags.1'],
  ])('in %s of a stranger is 400 and names the field', async (_what, method, path, options, field) => {
    const answer = await api.call(method, path, options)
    expect(answer.status).toBe(400)
    expect(answer.body.message).toContain(field)
  })

  it.each([
    ['name=%00', 'name'],
    ['tags=%00', 'tags'],
    ['metadata={"a":"%5Cu0000"}', 'metadata'],
    ['metadata={"a":"%5Cud800"}', 'metadata'],
    ['created_from=-271821-04-20T00:00:00Z', 'created_from'],
    ['created_to=%2B275760-09-13T00:00:00Z', 'created_to'],
  ])('in the query of a list (%s) is 400 and names the parameter', async (query, name) => {
    const answer = await api.call('GET', `/${site.domain.id}/clients?${query}`, { token: site.token })
    expect(answer.status).toBe(400)
    expect(answer.body.message).toContain(`${name}: `)
  })

  it('in a path is 400', async () => {
    const { token, auth, channel } = site
    const answers: Answer[] = [
      await api.call('GET', '/a%00/clients', { token }),
      await api.call('GET', `/${site.domain.id}/channels/a%00/messages`, { auth }),
      await api.call('GET', `/${site.domain.id}/channels/${channel.id}/messages/a%00`, { auth }),
      await api.call('GET', `/${site.domain.id}/channels/${channel.id}/messages?name=%00`, { token }),
    ]
    expect(answers.map((answer) => answer.status)).toEqual([400, 400, 400, 400])
  })

  it('never is a failure of ours for a device that publishes', async () => {
    const paths = ['/hc/a%00', '/m/a%00/c/b', `/m/${site.domain.id}/c/a%00`]
    for (const path of paths) {
      const { status } = await api.call('POST', path, { auth: site.auth, body: 'x', type: 'text/plain' })
      expect([400, 401, 403, 404], path).toContain(status)
    }
  })

  it('is not the text that spells an escape, nor a whole pair', async () => {
    const metadata = { note: '\\u0000 and \\ud800', smile: '\u{1f600}' }
    const { body } = await api.expect(201, 'POST', `/${site.domain.id}/clients`, {
      token: site.token,
      body: { name: 'C:\\u0000', metadata },
    })
    expect(body).toMatchObject({ name: 'C:\\u0000', metadata })
  })
})

describe('a number that no database can reckon with', () => {
  it('is 400, not a failure of ours', async () => {
    const path = `/${site.domain.id}/channels/${site.channel.id}/messages`
    for (const t of [1, 2]) {
      const record = { n: 'big', v: 1e308, t: 1_700_000_000 + t }
      await api.expect(202, 'POST', `/${site.topic}`, {
        auth: site.auth,
        body: [record],
        type: 'application/senml+json',
      })
    }
    await eventually('both are stored', async () => {
      return (await api.call('GET', path, { token: site.token })).body.total === 2
    })

    const answer = await api.call('GET', `${path}?aggregation=sum&from=0&to=99999999999&interval=1h`, {
      token: site.token,
    })

    expect(answer.status).toBe(400)
    expect(answer.body.error).toBe('invalid_input')
  })
})

describe('a body', () => {
  it('of brackets alone is 400', async () => {
    const body = `{"name":"x","metadata":{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`
    const answer = await api.call('POST', '/domains', { token: site.token, body })
    expect(answer.status).toBe(400)
    expect(answer.body.message).toContain('nested')
  })
})
