import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { ADMIN, startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

let gateway: TestGateway
let api: Api
beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
})
afterAll(() => gateway.stop())

const body = (username: string, more: Record<string, unknown> = {}) => ({
  first_name: 'Jane',
  last_name: 'Doe',
  email: `${username}@example.com`,
  credentials: { username, secret: '12345678' },
  ...more,
})

describe('signing up', () => {
  it('answers 201 with the user, its address, and never the secret', async () => {
    const answer = await api.call('POST', '/users', {
      body: body('janedoe', { tags: ['a', 'b'], metadata: { a: 1 } }),
    })
    expect(answer.status).toBe(201)
    expect(answer.headers.get('location')).toBe(`/users/${answer.body.id}`)
    expect(answer.headers.get('access-control-expose-headers')).toBe('Location')
    expect(answer.body).toMatchObject({
      first_name: 'Jane',
      email: 'janedoe@example.com',
      credentials: { username: 'janedoe' },
      tags: ['a', 'b'],
      metadata: { a: 1 },
      status: 'enabled',
      role: 'user',
    })
    expect(answer.body.updated_at).toBe(answer.body.created_at)
    expect(answer.text).not.toContain('12345678')
  })

  it('ignores a token that cannot be used', async () => {
    const answer = await api.call('POST', '/users', { auth: 'Bearer undefined', body: body('viasdk') })
    expect(answer.status).toBe(201)
  })

  it('gives nobody a role or a status by asking for it', async () => {
    const answer = await api.call('POST', '/users', {
      body: body('mallory', { role: 'admin', status: 'disabled' }),
    })
    expect(answer.body).toMatchObject({ role: 'user', status: 'enabled' })
  })

  it('lets a superadmin make a superadmin', async () => {
    const { token } = await api.signIn(ADMIN.username, ADMIN.password)
    const answer = await api.call('POST', '/users', { token, body: body('second', { role: 'admin' }) })
    expect(answer.body.role).toBe('admin')
  })

  it('refuses a username or an e-mail that is taken, whatever its case, with 409', async () => {
    await api.expect(201, 'POST', '/users', { body: body('taken') })
    const name = await api.call('POST', '/users', { body: body('TAKEN', { email: 'other@example.com' }) })
    expect(name.status).toBe(409)
    expect(name.body).toEqual({ error: 'username_taken', message: 'username not available' })
    const mail = await api.call('POST', '/users', { body: body('other', { email: 'Taken@Example.com' }) })
    expect(mail.status).toBe(409)
    expect(mail.body.error).toBe('email_taken')
  })

  it('gives one of fifty who ask for the same username at once a 201, the others a 409', async () => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        api.call('POST', '/users', { body: body('race', { email: `r${i}@example.com` }) }),
      ),
    )
    const statuses = answers.map((answer) => answer.status).sort((a, b) => a - b)
    expect(statuses).toEqual([201, ...Array.from({ length: 49 }, () => 409)])
  })

  it.each([
    ['no first name', { first_name: undefined }, 'first_name'],
    ['an empty name', { last_name: '  ' }, 'last_name'],
    ['a bad e-mail', { email: 'nobody' }, 'email'],
    ['a short password', { credentials: { username: 'short', secret: '1234567' } }, 'credentials.secret'],
    ['a bad username', { credentials: { username: '-x', secret: '12345678' } }, 'credentials.username'],
    [
      'a username with two dashes',
      { credentials: { username: 'a--b', secret: '12345678' } },
      'credentials.username',
    ],
    ['no credentials', { credentials: undefined }, 'credentials'],
    ['metadata that is no object', { metadata: [1] }, 'metadata'],
    ['a picture that is no address', { profile_picture: 'javascript:alert(1)' }, 'profile_picture'],
    ['the character U+0000', { first_name: 'a\u0000b' }, 'first_name'],
  ])('refuses %s with a 400 that names the field', async (_what, change, field) => {
    const answer = await api.call('POST', '/users', { body: body('invalid', change) })
    expect(answer.status).toBe(400)
    expect(answer.body.message).toContain(`${field}:`)
  })
})

describe('signing in', () => {
  it('takes username or e-mail, under both pairs of names', async () => {
    const person = await api.given.person()
    for (const login of [
      { identity: person.username, secret: person.password },
      { username: person.username, password: person.password },
      { identity: `${person.username}@EXAMPLE.com`, secret: person.password },
    ]) {
      const answer = await api.call('POST', '/users/tokens/issue', { body: login })
      expect(answer.status).toBe(201)
      expect(answer.body.access_type).toBe('Bearer')
      expect(answer.body.access_token).not.toBe(answer.body.refresh_token)
    }
  })

  it('answers a wrong password and an unknown name alike', async () => {
    const person = await api.given.person()
    const wrong = await api.call('POST', '/users/tokens/issue', {
      body: { username: person.username, password: 'wrong one' },
    })
    const unknown = await api.call('POST', '/users/tokens/issue', {
      body: { username: 'nobody', password: 'wrong one' },
    })
    expect(wrong.status).toBe(401)
    expect([unknown.status, unknown.body]).toEqual([wrong.status, wrong.body])
  })

  it('names what is missing', async () => {
    const answer = await api.call('POST', '/users/tokens/issue', { body: {} })
    expect(answer.status).toBe(400)
    expect(answer.body.message).toContain('username')
    expect(answer.body.message).toContain('password')
  })
})

describe('a refresh token', () => {
  it('gives a new pair, sent with a JSON content type and no body', async () => {
    const person = await api.given.person()
    const answer = await api.call('POST', '/users/tokens/refresh', {
      token: person.refreshToken,
      headers: { 'content-type': 'application/json' },
    })
    expect(answer.status).toBe(201)
    await api.expect(200, 'GET', '/users/profile', { token: answer.body.access_token })
    expect(answer.body.refresh_token).not.toBe(person.refreshToken)
  })

  it('ends the whole session when it is used twice, because one of the two users stole it', async () => {
    const person = await api.given.person()
    const { body: pair } = await api.expect(201, 'POST', '/users/tokens/refresh', {
      token: person.refreshToken,
    })
    expect((await api.call('POST', '/users/tokens/refresh', { token: person.refreshToken })).status).toBe(401)
    expect((await api.call('GET', '/users/profile', { token: pair.access_token })).status).toBe(401)
    expect((await api.call('POST', '/users/tokens/refresh', { token: pair.refresh_token })).status).toBe(401)
  })

  it('is no access token, and an access token is no refresh token', async () => {
    const person = await api.given.person()
    expect((await api.call('GET', '/users/profile', { token: person.refreshToken })).status).toBe(401)
    expect((await api.call('POST', '/users/tokens/refresh', { token: person.token })).status).toBe(401)
  })
})

describe('a profile', () => {
  it('is whole for oneself', async () => {
    const person = await api.given.person()
    const { body: own } = await api.expect(200, 'GET', '/users/profile', { token: person.token })
    expect(own).toMatchObject({ id: person.id, email: `${person.username}@example.com`, role: 'user' })
  })

  it('shows others neither e-mail nor private metadata', async () => {
    const [seer, seen] = [await api.given.person(), await api.given.person()]
    const { body: other } = await api.expect(200, 'GET', `/users/${seen.id}`, { token: seer.token })
    expect(other.credentials.username).toBe(seen.username)
    expect(other).not.toHaveProperty('email')
    expect(other).not.toHaveProperty('private_metadata')
  })

  it('is not for strangers: 401 without, with a broken and with a foreign token', async () => {
    const foreign = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.'
    for (const auth of [undefined, 'Bearer', 'Bearer nonsense', `Bearer ${foreign}`, 'Basic eDp5']) {
      const answer = await api.call('GET', '/users/profile', { auth })
      expect(answer.status).toBe(401)
      expect(answer.body.message).toBe('missing or invalid bearer user token')
    }
  })
})
