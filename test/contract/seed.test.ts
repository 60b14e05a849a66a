import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Answer, Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { ADMIN, startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

/** The calls of the seed document, each by its number (contract 19), in the order in which they make sense together. */
let gateway: TestGateway
let api: Api
let root: string
beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
  root = (await api.signIn(ADMIN.username, ADMIN.password)).token
})
afterAll(() => gateway.stop())

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/
const user = (name: string) => ({
  first_name: 'Jane',
  last_name: 'Doe',
  email: `${name}@example.com`,
  tags: ['male', 'developer'],
  credentials: { username: name, secret: '12345678' },
  metadata: { domain: 'example.com' },
  profile_picture: 'https://example.com/pic.png',
  status: 'enabled',
})

describe('users', () => {
  let jane: Answer['body']
  let token: string
  let refresh: string

  it('S1 creates a user, without a token and with one', async () => {
    const open = await api.call('POST', '/users', { body: user('janedoe') })
    expect(open.status).toBe(201)
    jane = open.body
    expect(jane).toMatchObject({
      email: 'janedoe@example.com',
      credentials: { username: 'janedoe' },
      status: 'enabled',
    })
    expect((await api.call('POST', '/users', { token: root, body: user('johndoe') })).status).toBe(201)
  })

  it('S2 issues a token pair', async () => {
    const answer = await api.call('POST', '/users/tokens/issue', {
      body: { identity: 'janedoe', secret: '12345678' },
    })
    expect(answer.status).toBe(201)
    token = answer.body.access_token
    refresh = answer.body.refresh_token
  })

  it('S3 refreshes it, with a JSON content type and no body', async () => {
    const answer = await api.call('POST', '/users/tokens/refresh', {
      token: refresh,
      headers: { 'content-type': 'application/json' },
    })
    expect(answer.status).toBe(201)
    token = answer.body.access_token
  })

  it('S4 reads the profile', async () => {
    const answer = await api.call('GET', '/users/profile', { token })
    expect([answer.status, answer.body.id]).toEqual([200, jane.id])
  })

  it('S5 reads a user', async () => {
    const answer = await api.call('GET', `/users/${jane.id}`, { token })
    expect([answer.status, answer.body.email]).toEqual([200, 'janedoe@example.com'])
  })

  it('S6 lists users', async () => {
    const answer = await api.call('GET', '/users', { token })
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject({ limit: 10, offset: 0 })
    expect(answer.body.users.map((one: { id: string }) => one.id)).toContain(jane.id)
  })

  it.each([
    'identity=janedoe',
    'name=jane',
    'tag=developer',
    'status=enabled',
    'visibility=all',
    `metadata=${encodeURIComponent('{"domain":"example.com"}')}`,
    'first_name=Jane',
    'last_name=Doe',
    'email=janedoe@example.com',
  ])('S7 lists users by %s, with paging and a trailing ampersand', async (filter) => {
    const answer = await api.call('GET', `/users?offset=0&limit=5&${filter}&`, { token: root })
    expect([answer.status, answer.body.limit]).toEqual([200, 5])
    expect(answer.body.users.map((one: { id: string }) => one.id)).toContain(jane.id)
  })

  it('S8 changes names and metadata', async () => {
    const answer = await api.call('PATCH', `/users/${jane.id}`, {
      token,
      body: { first_name: 'Janet', last_name: 'Do', metadata: { role: 'general' } },
    })
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject({ first_name: 'Janet', last_name: 'Do', metadata: { role: 'general' } })
  })

  it('S9 changes tags', async () => {
    const answer = await api.call('PATCH', `/users/${jane.id}/tags`, { token, body: { tags: ['staff'] } })
    expect([answer.status, answer.body.tags]).toEqual([200, ['staff']])
  })

  it('S10 changes the picture', async () => {
    const profile_picture = 'https://example.com/new.png'
    const answer = await api.call('PATCH', `/users/${jane.id}/picture`, { token, body: { profile_picture } })
    expect([answer.status, answer.body.profile_picture]).toEqual([200, profile_picture])
  })

  it('S11 changes the e-mail', async () => {
    const answer = await api.call('PATCH', `/users/${jane.id}/email`, {
      token,
      body: { email: 'jane2@example.com' },
    })
    expect([answer.status, answer.body.email]).toEqual([200, 'jane2@example.com'])
  })

  it('S12 changes the username, at its own address and at that of the e-mail', async () => {
    const own = await api.call('PATCH', `/users/${jane.id}/username`, {
      token,
      body: { username: 'janedoe2024' },
    })
    expect([own.status, own.body.credentials.username]).toEqual([200, 'janedoe2024'])
    const other = await api.call('PATCH', `/users/${jane.id}/email`, {
      token,
      body: { username: 'janedoe2025' },
    })
    expect([other.status, other.body.credentials.username]).toEqual([200, 'janedoe2025'])
  })

  it('S13 changes the password', async () => {
    const answer = await api.call('PATCH', '/users/secret', {
      token,
      body: { old_secret: '12345678', new_secret: 'newsecret12' },
    })
    expect(answer.status).toBe(200)
    token = (await api.signIn('janedoe2025', 'newsecret12')).token
  })

  it('S17 finds users by their username', async () => {
    const answer = await api.call('GET', '/users/search?username=janedoe2025&', { token })
    expect(answer.status).toBe(200)
    expect(answer.body.users).toMatchObject([{ id: jane.id, username: 'janedoe2025' }])
    expect(answer.body.users[0]).toHaveProperty('email')
  })

  it('S15 and S14 disable and enable a user', async () => {
    const off = await api.call('POST', `/users/${jane.id}/disable`, { token })
    expect([off.status, off.body.status]).toEqual([200, 'disabled'])
    const on = await api.call('POST', `/users/${jane.id}/enable`, { token: root })
    expect([on.status, on.body.status]).toEqual([200, 'enabled'])
  })

  it('S16 deletes a user', async () => {
    const answer = await api.call('DELETE', `/users/${jane.id}`, { token: root })
    expect([answer.status, answer.body]).toEqual([200, { message: 'User deleted successfully' }])
  })
})

describe('a domain', () => {
  let token: string
  let ownId: string
  let domain: string
  beforeAll(async () => {
    const person = await api.given.person()
    token = person.token
    ownId = person.id
    domain = (await api.given.domain(token)).id
  })

  describe('clients', () => {
    let client: Answer['body']

    it('S19 creates a client with identity and secret', async () => {
      const answer = await api.call('POST', `/${domain}/clients`, {
        token,
        body: {
          name: 'Temperature Sensor',
          tags: ['sensor'],
          credentials: { identity: 'temp-1', secret: 'bb7edb32-2eac-4aad-aebe-ed96fe073879' },
          metadata: { location: 'lab' },
          status: 'enabled',
        },
      })
      expect(answer.status).toBe(201)
      client = answer.body
      expect(answer.headers.get('location')).toBe(`/clients/${client.id}`)
      expect(client.credentials).toEqual({
        identity: 'temp-1',
        secret: 'bb7edb32-2eac-4aad-aebe-ed96fe073879',
      })
    })

    it('S20 creates one with an id of its own', async () => {
      const id = randomUUID()
      const answer = await api.call('POST', `/${domain}/clients`, { token, body: { id, name: 'own id' } })
      expect([answer.status, answer.body.id]).toEqual([201, id])
      expect(answer.body.credentials.secret).not.toBe('')
    })

    it('S21 creates one with a secret of its own', async () => {
      const answer = await api.call('POST', `/${domain}/clients`, {
        token,
        body: { credentials: { secret: 'mine' } },
      })
      expect([answer.status, answer.body.credentials.secret]).toEqual([201, 'mine'])
    })

    it('S22 creates several', async () => {
      const body = [
        { name: 'Motion Sensor', domain_id: domain },
        { name: 'Light Sensor', domain_id: domain },
      ]
      const answer = await api.call('POST', `/${domain}/clients/bulk`, { token, body })
      expect([answer.status, answer.body.total, answer.body.clients.length]).toEqual([200, 2, 2])
    })

    it('S23 creates several with ids of their own', async () => {
      const ids = [randomUUID(), randomUUID()]
      const answer = await api.call('POST', `/${domain}/clients/bulk`, {
        token,
        body: ids.map((id) => ({ id })),
      })
      expect(answer.status).toBe(200)
      expect(answer.body.clients.map((one: { id: string }) => one.id)).toEqual(ids)
      expect(answer.body.clients[0].owner).toBe(ownId)
      expect(answer.body.clients[0].credentials.secret).not.toBe('')
    })

    it('S24 reads a client', async () => {
      const answer = await api.call('GET', `/${domain}/clients/${client.id}`, { token })
      expect([answer.status, answer.body.credentials]).toEqual([200, { identity: 'temp-1', secret: '' }])
    })

    it('S25 lists clients over all domains', async () => {
      const answer = await api.call('GET', '/clients', { token })
      expect([answer.status, answer.body.total]).toEqual([200, 7])
      expect(answer.body.clients[0]).toHaveProperty('owner', ownId)
      expect(answer.body.clients[0].credentials).toHaveProperty('secret')
    })

    it.each(['Light%20Sensor', 'Light+Sensor'])('S26 filters them by the name %s', async (name) => {
      const answer = await api.call('GET', `/clients?offset=1&limit=5&name=${name}`, { token })
      expect([answer.status, answer.body.total, answer.body.clients]).toEqual([200, 1, []])
    })

    it('S27 changes name and metadata', async () => {
      const body = { name: 'Pressure Sensor', metadata: { location: 'hall' } }
      const answer = await api.call('PATCH', `/${domain}/clients/${client.id}`, { token, body })
      expect(answer.status).toBe(200)
      expect(answer.body).toMatchObject(body)
    })

    it('S28 changes tags', async () => {
      const answer = await api.call('PATCH', `/${domain}/clients/${client.id}/tags`, {
        token,
        body: { tags: ['a'] },
      })
      expect([answer.status, answer.body.tags]).toEqual([200, ['a']])
    })

    it('S29 changes the secret', async () => {
      const answer = await api.call('PATCH', `/${domain}/clients/${client.id}/secret`, {
        token,
        body: { secret: 'newer' },
      })
      expect([answer.status, answer.body.credentials.secret, answer.body.status]).toEqual([
        200,
        'newer',
        'enabled',
      ])
    })

    it('S31 and S30 disable and enable it', async () => {
      const off = await api.call('POST', `/${domain}/clients/${client.id}/disable`, { token })
      expect([off.status, off.body.status]).toEqual([200, 'disabled'])
      const on = await api.call('POST', `/${domain}/clients/${client.id}/enable`, { token })
      expect([on.status, on.body.status]).toEqual([200, 'enabled'])
    })

    it('S32 deletes it', async () => {
      const answer = await api.call('DELETE', `/${domain}/clients/${client.id}`, { token })
      expect([answer.status, answer.body]).toEqual([200, { message: 'Client deleted successfully' }])
    })
  })

  describe('channels and messages', () => {
    let channel: Answer['body']
    let client: Answer['body']

    it('S33 creates a channel with a description', async () => {
      const answer = await api.call('POST', `/${domain}/channels`, {
        token,
        body: {
          name: 'Temperature Data',
          description: 'Weather',
          domain_id: domain,
          metadata: { a: 1 },
          status: 'enabled',
        },
      })
      expect([answer.status, answer.body.description]).toEqual([201, 'Weather'])
      channel = answer.body
      expect(answer.headers.get('location')).toBe(`/channels/${channel.id}`)
    })

    it('S34 creates one with an id of its own', async () => {
      const id = randomUUID()
      const answer = await api.call('POST', `/${domain}/channels`, { token, body: { id, name: 'own' } })
      expect([answer.status, answer.body.id]).toEqual([201, id])
    })

    it('S35 and S36 create several, also with ids of their own', async () => {
      const id = randomUUID()
      const answer = await api.call('POST', `/${domain}/channels/bulk`, {
        token,
        body: [{ name: 'x' }, { id, name: 'y' }],
      })
      expect([answer.status, answer.body.channels[1].id]).toEqual([200, id])
    })

    it('S37 and S38 read a channel and list channels', async () => {
      expect((await api.call('GET', `/${domain}/channels/${channel.id}`, { token })).body.id).toBe(channel.id)
      const answer = await api.call('GET', '/channels', { token })
      expect([answer.status, answer.body.total]).toEqual([200, 4])
    })

    it('S39 changes it', async () => {
      const body = { name: 'Weather', metadata: { location: 'london' } }
      const answer = await api.call('PUT', `/${domain}/channels/${channel.id}`, { token, body })
      expect(answer.status).toBe(200)
      expect(answer.body).toMatchObject({ ...body, updated_by: ownId })
      expect(answer.body.updated_at).toMatch(ISO)
    })

    it('S41 and S40 disable and enable it, with a JSON content type and no body', async () => {
      const headers = { 'content-type': 'application/json' }
      const off = await api.call('POST', `/${domain}/channels/${channel.id}/disable`, { token, headers })
      expect([off.status, off.body.status]).toEqual([200, 'disabled'])
      const on = await api.call('POST', `/${domain}/channels/${channel.id}/enable`, { token, headers })
      expect([on.status, on.body.status]).toEqual([200, 'enabled'])
    })

    it('S42 connects', async () => {
      client = await api.given.client(token, domain)
      const body = { channel_ids: [channel.id], client_ids: [client.id], types: ['publish'] }
      const answer = await api.call('POST', `/${domain}/channels/connect`, { token, body })
      expect([answer.status, answer.text]).toEqual([201, ''])
    })

    it('S43 connects without a domain in the path', async () => {
      const body = { channel_ids: [channel.id], client_ids: [client.id], types: ['publish', 'subscribe'] }
      const answer = await api.call('POST', '/connect', { token, body })
      expect([answer.status, answer.text]).toEqual([201, ''])
    })

    it('S45 publishes three records', async () => {
      const answer = await api.call('POST', `/http/channels/${channel.id}/messages`, {
        auth: `Client ${client.credentials.secret}`,
        type: 'application/senml+json',
        body: [
          { bn: 'some-base-name:', bt: 1.276020076001e9, bu: 'A', bver: 5, n: 'voltage', u: 'V', v: 120.1 },
          { n: 'current', t: -5, v: 1.2 },
          { n: 'current', t: -4, v: 1.3 },
        ],
      })
      expect([answer.status, answer.headers.get('content-length')]).toEqual([202, '0'])
    })

    it('S46 reads them back, newest first', async () => {
      const read = () =>
        api.expect(200, 'GET', `/channels/${channel.id}/messages?offset=0&limit=10`, {
          auth: `Client ${client.credentials.secret}`,
        })
      const { body } = await eventually('they are stored', async () => {
        const answer = await read()
        return answer.body.total === 3 && answer
      })
      expect(body).toMatchObject({ offset: 0, limit: 10, format: 'messages', total: 3 })
      const facts = body.messages.map((m: Record<string, unknown>) => [m.name, m.unit, m.value, m.time])
      expect(facts).toEqual([
        ['some-base-name:voltage', 'V', 120.1, 1276020076.001],
        ['some-base-name:current', 'A', 1.3, 1276020072.001],
        ['some-base-name:current', 'A', 1.2, 1276020071.001],
      ])
    })

    it('S44 disconnects, subjects and objects either way round', async () => {
      const body = { subjects: [client.id], objects: [channel.id] }
      const answer = await api.call('POST', `/${domain}/channels/disconnect`, { token, body })
      expect([answer.status, answer.text]).toEqual([204, ''])
    })
  })

  describe('groups', () => {
    let parent: Answer['body']
    let child: Answer['body']

    it('S47 and S48 create a group, and one below it', async () => {
      const first = await api.call('POST', `/${domain}/groups`, {
        token,
        body: { name: 'Security Engineers', description: 'x', metadata: { a: 1 }, status: 'enabled' },
      })
      expect(first.status).toBe(201)
      parent = first.body
      expect(first.headers.get('location')).toBe(`/groups/${parent.id}`)
      const second = await api.call('POST', `/${domain}/groups`, {
        token,
        body: { name: 'Support', parent_id: parent.id },
      })
      expect([second.status, second.body.parent_id]).toEqual([201, parent.id])
      child = second.body
    })

    it('S49 and S50 read and list', async () => {
      expect((await api.call('GET', `/${domain}/groups/${child.id}`, { token })).body.name).toBe('Support')
      const answer = await api.call('GET', `/${domain}/groups`, { token })
      expect(answer.body).toMatchObject({ limit: 10, offset: 0, total: 2 })
    })

    it('S51 shows the parents as a tree, levels below zero', async () => {
      const answer = await api.call('GET', `/${domain}/groups/${child.id}/parents?tree=true`, { token })
      expect(answer.status).toBe(200)
      expect(answer.body.groups).toMatchObject([
        { id: parent.id, level: -1, children: [{ id: child.id, level: 0 }] },
      ])
    })

    it('S52 shows the children as a tree', async () => {
      const answer = await api.call('GET', `/${domain}/groups/${parent.id}/children?tree=true`, { token })
      expect(answer.body.groups).toMatchObject([
        { id: parent.id, level: 0, children: [{ id: child.id, level: 1, path: `${parent.id}.${child.id}` }] },
      ])
    })

    it('S53 changes it', async () => {
      const body = { name: 'New', description: 'newer', metadata: { b: 2 } }
      const answer = await api.call('PUT', `/${domain}/groups/${child.id}`, { token, body })
      expect(answer.status).toBe(200)
      expect(answer.body).toMatchObject({ ...body, updated_by: ownId })
    })

    it('S54 and S55 disable and enable it', async () => {
      const off = await api.call('POST', `/${domain}/groups/${child.id}/disable`, { token })
      expect([off.status, off.body.status]).toEqual([200, 'disabled'])
      const on = await api.call('POST', `/${domain}/groups/${child.id}/enable`, { token })
      expect([on.status, on.body.status]).toEqual([200, 'enabled'])
    })

    it('S56, S57, S18 and S58 assign a user who was never invited, show it, and take it back', async () => {
      const member = await api.given.person()
      const assign = await api.call('POST', '/users/policies', {
        token,
        body: { subject: member.id, object: parent.id, actions: ['g_list', 'c_list'] },
      })
      expect([assign.status, assign.text]).toEqual([201, ''])

      const members = await api.call('GET', `/${domain}/groups/${parent.id}/members`, { token })
      expect(members.status).toBe(200)
      expect(members.body.members.map((one: { id: string }) => one.id)).toContain(member.id)

      const memberships = await api.call('GET', `/users/${member.id}/memberships`, { token: member.token })
      expect(memberships.status).toBe(200)
      expect(memberships.body).toMatchObject({ limit: 10, offset: 0, memberships: [{ id: parent.id }] })

      const back = await api.call('DELETE', `/users/policies/${member.id}/${parent.id}`, { token })
      expect(back.status).toBe(204)
      const after = await api.call('GET', `/${domain}/groups/${parent.id}/members`, { token })
      expect(after.body.members.map((one: { id: string }) => one.id)).not.toContain(member.id)
    })
  })
})
