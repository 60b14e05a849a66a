import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { createApi } from '../support/api.ts'
import type { Api, Person } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { ADMIN, startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'
import { addMember } from '../support/members.ts'

let gateway: TestGateway
let api: Api
let root: string
beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
  root = (await api.signIn(ADMIN.username, ADMIN.password)).token
})
afterAll(() => gateway.stop())

const patch = (person: Person, path: string, body: unknown, token = person.token) =>
  api.call('PATCH', `/users/${person.id}${path}`, { token, body })

describe('changing an account', () => {
  it('changes what is given and keeps the rest, whatever else a client sends along', async () => {
    const person = await api.given.person()
    const answer = await patch(person, '', {
      first_name: 'Grace',
      last_name: '',
      email: 'ignored@example.com',
      created_at: '0001-01-01T00:00:00Z',
      credentials: {},
      metadata: { a: 1 },
      private_metadata: { b: 2 },
    })
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject({
      first_name: 'Grace',
      last_name: 'Byron',
      email: `${person.username}@example.com`,
      metadata: { a: 1 },
      private_metadata: { b: 2 },
      updated_by: person.id,
    })
    expect(answer.body.updated_at > answer.body.created_at).toBe(true)
  })

  it('sets tags, picture, username and e-mail', async () => {
    const person = await api.given.person()
    expect((await patch(person, '/tags', { tags: ['b', 'a'] })).body.tags).toEqual(['b', 'a'])
    const picture = 'https://example.com/me.png'
    expect((await patch(person, '/picture', { profile_picture: picture })).body.profile_picture).toBe(picture)
    expect((await patch(person, '/picture', { profile_picture: '' })).body.profile_picture).toBe('')
    const username = `${person.username}x`
    expect((await patch(person, '/username', { username })).body.credentials.username).toBe(username)
    const email = `New.${person.username}@Example.com`
    expect((await patch(person, '/email', { email })).body.email).toBe(email.toLowerCase())
    await api.signIn(username, person.password)
  })

  it('takes a username at the address of the e-mail, and the present e-mail as no change', async () => {
    const person = await api.given.person()
    const username = `${person.username}y`
    expect((await patch(person, '/email', { username })).body.credentials.username).toBe(username)
    const same = await patch(person, '/email', { email: `${person.username}@example.com` })
    expect(same.status).toBe(200)
  })

  it('refuses a username and an e-mail that are taken with 409', async () => {
    const [one, other] = [await api.given.person(), await api.given.person()]
    expect((await patch(one, '/username', { username: other.username.toUpperCase() })).status).toBe(409)
    expect((await patch(one, '/email', { email: `${other.username}@example.com` })).status).toBe(409)
  })

  it('is for oneself and superadmins: others get 403, for users that do not exist too', async () => {
    const [one, other] = [await api.given.person(), await api.given.person()]
    const missing = { ...other, id: '00000000-0000-4000-8000-000000000000' }
    for (const target of [other, missing]) {
      for (const [path, body] of [
        ['', { first_name: 'x' }],
        ['/tags', { tags: [] }],
        ['/picture', { profile_picture: '' }],
        ['/email', { email: 'x@example.com' }],
        ['/username', { username: 'xxxx' }],
        ['/role', { role: 'admin' }],
      ] as const) {
        expect((await patch(target, path, body, one.token)).status).toBe(403)
      }
      for (const verb of ['enable', 'disable']) {
        expect((await api.call('POST', `/users/${target.id}/${verb}`, { token: one.token })).status).toBe(403)
      }
      expect((await api.call('DELETE', `/users/${target.id}`, { token: one.token })).status).toBe(403)
    }
    expect((await patch(other, '', { first_name: 'By root' }, root)).body.first_name).toBe('By root')
    expect((await patch(missing, '', { first_name: 'x' }, root)).status).toBe(404)
  })
})

describe('a password', () => {
  it('is changed with the old one; other sessions end, this one goes on', async () => {
    const person = await api.given.person()
    const other = await api.signIn(person.username, person.password)
    const wrong = await api.call('PATCH', '/users/secret', {
      token: person.token,
      body: { old_secret: 'not this one', new_secret: 'another password' },
    })
    expect(wrong.status).toBe(401)
    const answer = await api.expect(200, 'PATCH', '/users/secret', {
      token: person.token,
      body: { old_secret: person.password, new_secret: 'another password' },
    })
    expect(answer.body.id).toBe(person.id)
    expect((await api.call('POST', '/users/tokens/refresh', { token: other.refreshToken })).status).toBe(401)
    await api.expect(201, 'POST', '/users/tokens/refresh', { token: person.refreshToken })
    await api.signIn(person.username, 'another password')
    const old = { username: person.username, password: person.password }
    expect((await api.call('POST', '/users/tokens/issue', { body: old })).status).toBe(401)
  })
})

describe('a role', () => {
  it('is given and taken by superadmins, and acts on tokens that are out', async () => {
    const person = await api.given.person()
    expect((await patch(person, '/role', { role: 'admin' }, root)).body.role).toBe('admin')
    const stranger = await api.given.person()
    const seen = await api.expect(200, 'GET', `/users/${stranger.id}`, { token: person.token })
    expect(seen.body.email).toBe(`${stranger.username}@example.com`)
    expect((await patch(person, '/role', { role: 'user' }, root)).body.role).toBe('user')
    const unseen = await api.expect(200, 'GET', `/users/${stranger.id}`, { token: person.token })
    expect(unseen.body).not.toHaveProperty('email')
    expect((await patch(person, '/role', { role: 'boss' }, root)).status).toBe(400)
  })

  it('of the last superadmin stays, by whichever way somebody would take it, also two at once', async () => {
    const { body: me } = await api.expect(200, 'GET', '/users/profile', { token: root })
    const call = (method: string, path: string, body?: unknown) =>
      api.call(method, `/users/${me.id}${path}`, { token: root, body })
    expect((await call('PATCH', '/role', { role: 'user' })).status).toBe(409)
    expect((await call('POST', '/disable')).status).toBe(409)
    expect((await call('DELETE', '')).body.error).toBe('last_superadmin')

    const second = await api.given.person()
    await patch(second, '/role', { role: 'admin' }, root)
    const answers = await Promise.all([
      call('PATCH', '/role', { role: 'user' }),
      patch(second, '/role', { role: 'user' }),
    ])
    expect(answers.filter((answer) => answer.status === 200).length).toBe(1)
    const isRootLeft = answers[0].status === 409
    if (!isRootLeft) {
      await api.expect(200, 'PATCH', `/users/${me.id}/role`, { token: second.token, body: { role: 'admin' } })
      await patch(second, '/role', { role: 'user' }, root)
    }
  })
})

describe('a disabled user', () => {
  it('is out everywhere at once: 401 with every token, for signing in and for refreshing', async () => {
    const person = await api.given.person()
    const answer = await api.expect(200, 'POST', `/users/${person.id}/disable`, { token: root })
    expect(answer.body.status).toBe('disabled')
    expect((await api.call('GET', '/users/profile', { token: person.token })).status).toBe(401)
    expect((await api.call('POST', `/users/${person.id}/enable`, { token: person.token })).status).toBe(401)
    expect((await api.call('POST', '/users/tokens/refresh', { token: person.refreshToken })).status).toBe(401)
    const login = { username: person.username, password: person.password }
    expect((await api.call('POST', '/users/tokens/issue', { body: login })).status).toBe(401)

    const again = await api.call('POST', `/users/${person.id}/disable`, { token: root })
    expect([again.status, again.body.message]).toEqual([409, 'status already assigned'])
    expect((await api.expect(200, 'POST', `/users/${person.id}/enable`, { token: root })).body.status).toBe(
      'enabled',
    )
    expect((await api.call('POST', `/users/${person.id}/enable`, { token: root })).status).toBe(409)
    await api.signIn(person.username, person.password)
  })

  it('may do it to oneself, and loses the WebSocket that a user token had opened', async () => {
    const site = await api.given.site()
    const address = `${gateway.url.replace('http', 'ws')}/${site.topic}`
    const socket = new WebSocket(address, { headers: { authorization: `Bearer ${site.token}` } })
    const closed = new Promise<number>((resolve) => socket.once('close', resolve))
    await new Promise<void>((resolve, reject) => socket.once('open', resolve).once('error', reject))
    await api.expect(200, 'POST', `/users/${site.person.id}/disable`, { token: site.token })
    expect(await closed).toBe(1008)
    const publish = await api.call('POST', `/${site.topic}`, { auth: `Bearer ${site.token}`, body: '{}' })
    expect(publish.status).toBe(401)
  })
})

describe('deleting a user', () => {
  it('answers 200 with a message, or 204 to those who ask for no representation', async () => {
    const [one, other] = [await api.given.person(), await api.given.person()]
    const answer = await api.call('DELETE', `/users/${one.id}`, { token: one.token })
    expect([answer.status, answer.body]).toEqual([200, { message: 'User deleted successfully' }])
    const { request } = await import('node:http')
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { authorization: `Bearer ${other.token}` }
      request(`${gateway.url}/users/${other.id}`, { method: 'DELETE', headers }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
        .once('error', reject)
        .end()
    })
    expect(status).toBe(204)
  })

  it('locks out, hides, and frees username and e-mail; bringing back answers 409 when they are taken', async () => {
    const person = await api.given.person()
    await api.expect(200, 'DELETE', `/users/${person.id}`, { token: root })
    expect((await api.call('GET', '/users/profile', { token: person.token })).status).toBe(401)
    expect((await api.call('GET', `/users/${person.id}`, { token: root })).status).toBe(404)
    expect((await api.call('DELETE', `/users/${person.id}`, { token: root })).status).toBe(404)
    const { body: back } = await api.expect(200, 'POST', `/users/${person.id}/enable`, { token: root })
    expect(back.status).toBe('enabled')
    await api.expect(200, 'DELETE', `/users/${person.id}`, { token: root })

    await api.expect(201, 'POST', '/users', {
      body: {
        first_name: 'Next',
        last_name: 'One',
        email: `${person.username}@example.com`,
        credentials: { username: person.username, secret: '12345678' },
      },
    })
    expect((await api.call('POST', `/users/${person.id}/enable`, { token: root })).status).toBe(409)
  })
})

describe('the list of users', () => {
  it('shows superadmins all, others themselves and those who share a domain', async () => {
    const [owner, member, stranger] = [
      await api.given.person(),
      await api.given.person(),
      await api.given.person(),
    ]
    const domain = await api.given.domain(owner.token)
    await addMember(gateway, domain.id, member.id)
    const idsFor = async (token: string, query = '') =>
      (await api.expect(200, 'GET', `/users?limit=100${query}`, { token })).body.users.map(
        (user: { id: string }) => user.id,
      )
    expect((await idsFor(owner.token)).sort()).toEqual([owner.id, member.id].sort())
    expect(await idsFor(stranger.token)).toEqual([stranger.id])
    expect(await idsFor(root)).toEqual(expect.arrayContaining([owner.id, member.id, stranger.id]))

    const { body: page } = await api.expect(200, 'GET', '/users', { token: member.token })
    expect(page).toMatchObject({ total: 2, offset: 0, limit: 10 })
    const seen = page.users.find((user: { id: string }) => user.id === owner.id)
    expect(seen).not.toHaveProperty('email')
  })

  it('filters by names, identity, tags, metadata, id and status, and counts all matches', async () => {
    const person = await api.given.person()
    await patch(person, '', { first_name: 'Zebulon', last_name: 'Quux', metadata: { floor: { no: 7 } } })
    await patch(person, '/tags', { tags: ['one', 'two'] })
    for (const query of [
      'first_name=zebul',
      'last_name=QUUX',
      'name=Zebulon',
      `username=${person.username}`,
      `identity=${person.username}`,
      `identity=${person.username}@example.com`,
      `email=${person.username}@example.com`,
      `email=${person.username}`,
      `id=${person.id}`,
      'tags=one%2Btwo&name=Quux',
      `metadata=${encodeURIComponent('{"floor":{"no":7}}')}`,
      'first_name=zebul&verified=false&visibility=shared&order=first_name&dir=asc',
    ]) {
      const { body } = await api.expect(200, 'GET', `/users?${query}&`, { token: root })
      expect([query, body.total, body.users[0]?.id]).toEqual([query, 1, person.id])
    }
    const { body } = await api.expect(200, 'GET', '/users?limit=1&offset=1', { token: root })
    expect(body.users.length).toBe(1)
    expect(body.total).toBeGreaterThan(2)
    for (const query of ['order=password_hash', 'limit=101', 'status=frozenx', 'metadata=[1]', 'offset=-1']) {
      expect((await api.call('GET', `/users?${query}`, { token: root })).status).toBe(400)
    }
  })

  it('tells nobody but superadmins the e-mail address of others letter by letter', async () => {
    const [owner, member] = [await api.given.person(), await api.given.person()]
    const domain = await api.given.domain(owner.token)
    await addMember(gateway, domain.id, member.id)
    const total = async (query: string) =>
      (await api.expect(200, 'GET', `/users?${query}`, { token: owner.token })).body.total
    expect(await total(`email=${member.username}`)).toBe(0)
    expect(await total(`email=${member.username}@example.com`)).toBe(1)
    expect(await total(`identity=${member.username}@example`)).toBe(0)
  })
})

describe('searching users', () => {
  it('finds by part of a name, in both shapes, without e-mail addresses of others and without superadmins', async () => {
    const [seeker, person] = [await api.given.person(), await api.given.person()]
    const { body } = await api.expect(200, 'GET', `/users/search?username=${person.username.slice(0, 9)}&`, {
      token: seeker.token,
    })
    expect(body.users).toContainEqual({
      id: person.id,
      username: person.username,
      first_name: 'Ada',
      last_name: 'Byron',
      credentials: { username: person.username },
      email: '',
    })
    const own = await api.expect(200, 'GET', `/users/search?id=${seeker.id}`, { token: seeker.token })
    expect(own.body.users[0].email).toBe(`${seeker.username}@example.com`)
    const admins = await api.expect(200, 'GET', `/users/search?username=${ADMIN.username}`, {
      token: seeker.token,
    })
    expect(admins.body.users).toEqual([])
    const byRoot = await api.expect(200, 'GET', `/users/search?username=${ADMIN.username}`, { token: root })
    expect(byRoot.body.total).toBe(1)
  })

  it('wants something to search for, of three characters for usernames and ids', async () => {
    for (const query of ['', '?username=', '?username=ab', '?id=12', '?order=updated_at']) {
      expect((await api.call('GET', `/users/search${query}`, { token: root })).status).toBe(400)
    }
  })
})

describe('the character U+0000, which no stored text holds', () => {
  it('is refused wherever it comes, and never an error of ours', async () => {
    for (const [path, status] of [
      ['/users?name=a%00', 400],
      ['/users/search?username=abc%00', 400],
      ['/domains/a%00', 400],
      ['/a%00/clients', 400],
      ['/verify-email?token=%00', 400],
    ] as const) {
      expect([path, (await api.call('GET', path, { token: root })).status]).toEqual([path, status])
    }
    const login = { username: 'a\u0000', password: 'whatever' }
    expect((await api.call('POST', '/users/tokens/issue', { body: login })).status).toBe(400)
  })
})

describe('the domains of a user', () => {
  it('are for that user and superadmins', async () => {
    const [owner, other] = [await api.given.person(), await api.given.person()]
    const domain = await api.given.domain(owner.token, { name: 'Mine' })
    for (const token of [owner.token, root]) {
      const { body } = await api.expect(200, 'GET', `/users/${owner.id}/domains`, { token })
      expect(body).toMatchObject({ total: 1, domains: [{ id: domain.id, name: 'Mine', role_name: 'admin' }] })
    }
    expect((await api.call('GET', `/users/${owner.id}/domains`, { token: other.token })).status).toBe(403)
  })
})

describe('what is done to accounts', () => {
  it('stands in the journal, by whom, without secrets', async () => {
    const person = await api.given.person()
    await api.expect(200, 'PATCH', '/users/secret', {
      token: person.token,
      body: { old_secret: person.password, new_secret: 'secret number two' },
    })
    await patch(person, '/tags', { tags: ['x'] }, root)
    const { body, text } = await eventually('the journal shows it', async () => {
      const answer = await api.call('GET', `/journal/user/${person.id}?with_attributes=true&limit=50`, {
        token: root,
      })
      return answer.status === 200 && answer
    })
    const operations = body.journals.map((entry: { operation: string }) => entry.operation)
    expect(operations).toEqual(['user.update_tags', 'user.update_secret', 'user.issue_token', 'user.create'])
    expect(text).not.toContain('secret number two')
  })
})
