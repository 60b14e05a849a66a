import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
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

describe('a body', () => {
  it('of a stranger is read up to 64 KiB and not further', async () => {
    const answer = await api.call('POST', '/users/tokens/issue', {
      body: { username: 'a', password: 'b', more: 'x'.repeat(70_000) },
    })
    expect(answer.status).toBe(413)
    expect(answer.body.message).toContain('65536')
  })

  it('of somebody who signed in may be larger', async () => {
    const clients = Array.from({ length: 200 }, () => ({ name: 'x', metadata: { a: 'y'.repeat(500) } }))
    await api.expect(200, 'POST', `/${site.domain.id}/clients/bulk`, { token: site.token, body: clients })
  })
})

describe('metadata', () => {
  it.each(['metadata', 'private_metadata'])('of more than 64 KiB is 400 and named: %s', async (field) => {
    const path = `/${site.domain.id}/clients`
    const send = (bytes: number) =>
      api.call('POST', path, {
        token: site.token,
        body: { name: 'x', [field]: { a: 'é'.repeat(bytes / 2) } },
      })

    const answer = await send(65_600)
    expect(answer.status).toBe(400)
    expect(answer.body.message).toContain(`${field}: must not be larger than 65536 bytes`)
    expect((await send(65_500)).status).toBe(201)
  })
})
