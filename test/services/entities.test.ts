import { randomUUID } from 'node:crypto'
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

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

describe('a domain', () => {
  it('makes its creator admin with every action there is', async () => {
    const { token } = await api.given.person()
    const domain = await api.given.domain(token, { name: 'Plant', tags: ['a'], metadata: { site: 1 } })
    const { body } = await api.expect(200, 'GET', `/domains/${domain.id}`, { token })
    expect(body).toMatchObject({
      name: 'Plant',
      tags: ['a'],
      metadata: { site: 1 },
      status: 'enabled',
      role_name: 'admin',
    })
    expect(body.actions).toHaveLength(42)
    expect(body.route).toBe(domain.id)
  })

  it('is read by its route as by its id', async () => {
    const { token } = await api.given.person()
    const domain = await api.given.domain(token, { route: 'by-route' })
    const { body } = await api.expect(200, 'GET', '/domains/By-Route', { token })
    expect(body.id).toBe(domain.id)
    await api.expect(201, 'POST', '/by-route/clients', { token, body: { name: 'x' } })
  })

  it('is listed to its members alone, and to superadmins', async () => {
    const [owner, stranger] = [await api.given.person(), await api.given.person()]
    const domain = await api.given.domain(owner.token)
    const ids = async (token: string) =>
      (await api.expect(200, 'GET', `/domains?id=${domain.id}`, { token })).body.domains.map(
        (d: { id: string }) => d.id,
      )
    expect(await ids(owner.token)).toEqual([domain.id])
    expect(await ids(stranger.token)).toEqual([])
    const root = await api.signIn(ADMIN.username, ADMIN.password)
    expect(await ids(root.token)).toEqual([domain.id])
  })

  it.each([
    ['a reserved word', 'channels'],
    ['a digit in front', '1abc'],
    ['two dashes', 'a--b'],
    ['the form of an id', 'abcdefab-0000-4000-8000-000000000000'],
  ])('has no route with %s', async (_what, route) => {
    const { token } = await api.given.person()
    const answer = await api.call('POST', '/domains', { token, body: { name: 'x', route } })
    expect(answer.status).toBe(400)
    expect(answer.body.message).toContain('route:')
  })

  it('has a route that no other domain has', async () => {
    const { token } = await api.given.person()
    await api.given.domain(token, { route: 'only-one' })
    const answer = await api.call('POST', '/domains', { token, body: { name: 'x', route: 'Only-One' } })
    expect([answer.status, answer.body.error]).toEqual([409, 'route_taken'])
  })
})

describe('a client', () => {
  it('shows its secret at creation and never again', async () => {
    const { token } = await api.given.person()
    const domain = await api.given.domain(token)
    const created = await api.call('POST', `/${domain.id}/clients`, {
      token,
      body: {
        name: 'Sensor',
        tags: ['t'],
        credentials: { identity: 'abc', secret: 'my own' },
        metadata: { a: 1 },
      },
    })
    expect(created.status).toBe(201)
    expect(created.headers.get('location')).toBe(`/clients/${created.body.id}`)
    expect(created.body.credentials).toEqual({ identity: 'abc', secret: 'my own' })
    const { body } = await api.expect(200, 'GET', `/${domain.id}/clients/${created.body.id}`, { token })
    expect(body.credentials).toEqual({ identity: 'abc', secret: '' })
    const list = await api.expect(200, 'GET', `/${domain.id}/clients`, { token })
    expect(list.text).not.toContain('my own')
  })

  it('gets a secret in the form of a UUID when it brings none', async () => {
    const { token } = await api.given.person()
    const domain = await api.given.domain(token)
    const client = await api.given.client(token, domain.id)
    expect(client.credentials.secret).toMatch(UUID)
  })

  it('takes an id that it brings, once in the whole installation', async () => {
    const { token } = await api.given.person()
    const domain = await api.given.domain(token)
    const id = randomUUID()
    expect((await api.given.client(token, domain.id, { id })).id).toBe(id)
    const again = await api.call('POST', `/${domain.id}/clients`, { token, body: { id } })
    expect([again.status, again.body.error]).toEqual([409, 'id_taken'])
  })

  it('has a secret that no other client of its domain has, while another domain may have it too', async () => {
    const { token } = await api.given.person()
    const [one, two] = [await api.given.domain(token), await api.given.domain(token)]
    const credentials = { secret: 'shared' }
    await api.given.client(token, one.id, { credentials })
    const again = await api.call('POST', `/${one.id}/clients`, { token, body: { credentials } })
    expect([again.status, again.body.error]).toEqual([409, 'secret_taken'])
    await api.given.client(token, two.id, { credentials })
  })

  it('comes in bulk, in the order asked for, all or none', async () => {
    const { token } = await api.given.person()
    const domain = await api.given.domain(token)
    const names = Array.from({ length: 200 }, (_, i) => `bulk ${i}`)
    const { body } = await api.expect(200, 'POST', `/${domain.id}/clients/bulk`, {
      token,
      body: names.map((name) => ({ name, domain_id: 'ignored' })),
    })
    expect(body.total).toBe(200)
    expect(body.clients.map((client: { name: string }) => client.name)).toEqual(names)

    const id = randomUUID()
    const twice = await api.call('POST', `/${domain.id}/clients/bulk`, {
      token,
      body: [{ name: 'no' }, { id }, { id }],
    })
    expect(twice.status).toBe(409)
    const { body: after } = await api.expect(200, 'GET', `/${domain.id}/clients?only_total=true`, { token })
    expect(after).toMatchObject({ total: 200, clients: [] })
  })

  it('is filtered by name, tags, metadata and channel, and paged', async () => {
    const { token } = await api.given.person()
    const domain = await api.given.domain(token)
    const at = (path: string) => api.expect(200, 'GET', `/${domain.id}/clients?${path}`, { token })
    const names = async (path: string) =>
      (await at(path)).body.clients.map((c: { name: string }) => c.name).sort()
    const light = await api.given.client(token, domain.id, {
      name: 'Light 100%',
      tags: ['a', 'b'],
      metadata: { x: { y: 1, z: 2 } },
    })
    await api.given.client(token, domain.id, { name: 'Motion', tags: ['b'], metadata: { x: { y: 2 } } })
    await api.given.client(token, domain.id, { name: 'Off', status: 'disabled' })
    expect(await names('')).toEqual(['Light 100%', 'Motion'])
    expect(await names('name=LIGHT+1')).toEqual(['Light 100%'])
    expect(await names('name=100%25')).toEqual(['Light 100%'])
    expect(await names('name=%25')).toEqual(['Light 100%'])
    expect(await names('tags=a,b')).toEqual(['Light 100%', 'Motion'])
    expect(await names('tags=a%2Bb')).toEqual(['Light 100%'])
    expect(await names('tag=a-b')).toEqual(['Light 100%'])
    expect(await names(`metadata=${encodeURIComponent('{"x":{"y":1}}')}`)).toEqual(['Light 100%'])
    expect(await names('status=disabled')).toEqual(['Off'])
    expect(await names('status=all')).toEqual(['Light 100%', 'Motion', 'Off'])
    expect(await names('name=undefined&offset=0&limit=5&')).toEqual(['Light 100%', 'Motion'])
    const channel = await api.given.channel(token, domain.id)
    await api.given.connection(token, domain.id, channel.id, light.id, ['Subscribe'])
    const { body: ofChannel } = await at(`channel=${channel.id}&connection_type=subscribe`)
    expect(ofChannel.clients).toMatchObject([{ id: light.id, connection_types: ['Subscribe'] }])
    expect(await names(`channel=${channel.id}&connection_type=publish`)).toEqual([])
    const { body: page } = await at('limit=1&offset=1&order=name&dir=asc')
    expect(page).toMatchObject({ total: 2, offset: 1, limit: 1, clients: [{ name: 'Motion' }] })
  })

  it('is listed over all domains of the caller without a domain in the path', async () => {
    const { token } = await api.given.person()
    const [one, two] = [await api.given.domain(token), await api.given.domain(token)]
    await api.given.client(token, one.id, { name: 'here' })
    await api.given.client(token, two.id, { name: 'there' })
    const { body } = await api.expect(200, 'GET', '/clients?order=name&dir=asc', { token })
    expect(body.clients.map((client: { name: string }) => client.name)).toEqual(['here', 'there'])
  })

  it.each([
    'limit=101',
    'limit=-1',
    'offset=-1',
    'dir=up',
    'status=odd',
    'order=odd',
    'metadata=[1]',
    'limit=1&limit=2',
  ])('refuses the query %s with 400', async (query) => {
    const { token } = await api.given.person()
    const domain = await api.given.domain(token)
    const answer = await api.call('GET', `/${domain.id}/clients?${query}`, { token })
    expect(answer.status).toBe(400)
    expect(answer.body.message).toContain(query.split('=')[0])
  })
})

describe('a channel', () => {
  it('keeps description and route, and is changed by PUT and PATCH, absent fields staying', async () => {
    const { token } = await api.given.person()
    const domain = await api.given.domain(token)
    const channel = await api.given.channel(token, domain.id, {
      description: 'Weather',
      route: 'air',
      tags: ['t'],
    })
    expect(channel).toMatchObject({ description: 'Weather', route: 'air', tags: ['t'] })
    expect(channel).not.toHaveProperty('updated_by')
    const path = `/${domain.id}/channels/${channel.id}`
    const { body: put } = await api.expect(200, 'PUT', path, {
      token,
      body: { name: 'New', metadata: { a: 1 } },
    })
    expect(put).toMatchObject({ name: 'New', metadata: { a: 1 }, description: 'Weather', route: 'air' })
    expect(put.updated_by).toBeDefined()
    // What Go sends: the whole entity, with empty strings and zero times for what it does not mean.
    const { body: patch } = await api.expect(200, 'PATCH', path, {
      token,
      body: { id: '', name: 'Newer', description: '', created_at: '0001-01-01T00:00:00Z' },
    })
    expect(patch).toMatchObject({ name: 'Newer', description: 'Weather', metadata: { a: 1 } })
  })

  it('has a route that no other channel of its domain has', async () => {
    const { token } = await api.given.person()
    const [one, two] = [await api.given.domain(token), await api.given.domain(token)]
    await api.given.channel(token, one.id, { route: 'air' })
    const again = await api.call('POST', `/${one.id}/channels`, { token, body: { route: 'AIR' } })
    expect([again.status, again.body.error]).toEqual([409, 'route_taken'])
    await api.given.channel(token, two.id, { route: 'air' })
  })
})

describe('a group', () => {
  it('stands under its parent, and the children come as a tree or level by level', async () => {
    const { token } = await api.given.person()
    const domain = await api.given.domain(token)
    const group = async (name: string, parent_id?: string) =>
      (await api.expect(201, 'POST', `/${domain.id}/groups`, { token, body: { name, parent_id } })).body
    const root = await group('root')
    const middle = await group('middle', root.id)
    const leaf = await group('leaf', middle.id)
    expect(leaf).toMatchObject({ level: 3, path: `${root.id}.${middle.id}.${leaf.id}`, parent_id: middle.id })
    const children = (query: string) =>
      api.expect(200, 'GET', `/${domain.id}/groups/${root.id}/children?${query}`, { token })
    const { body: tree } = await children('tree=true')
    expect(tree.groups).toMatchObject([
      {
        id: root.id,
        level: 0,
        children: [{ id: middle.id, level: 1, children: [{ id: leaf.id, level: 2 }] }],
      },
    ])
    const ids = async (query: string) =>
      (await children(query)).body.groups.map((g: { name: string }) => g.name).sort()
    expect(await ids('')).toEqual(['middle'])
    expect(await ids('start_level=2')).toEqual(['leaf'])
    expect(await ids('start_level=0&end_level=-1')).toEqual(['leaf', 'middle', 'root'])
    expect(
      (await api.call('GET', `/${domain.id}/groups/${root.id}/children?start_level=3&end_level=2`, { token }))
        .status,
    ).toBe(400)
  })

  it('holds clients, and a list by group takes the whole subtree', async () => {
    const { token } = await api.given.person()
    const domain = await api.given.domain(token)
    const { body: parent } = await api.expect(201, 'POST', `/${domain.id}/groups`, {
      token,
      body: { name: 'p' },
    })
    const { body: child } = await api.expect(201, 'POST', `/${domain.id}/groups`, {
      token,
      body: { name: 'c', parent_id: parent.id },
    })
    await api.given.client(token, domain.id, { name: 'in', parent_group_id: child.id })
    await api.given.client(token, domain.id, { name: 'out' })
    const names = async (query: string) =>
      (await api.expect(200, 'GET', `/${domain.id}/clients?${query}`, { token })).body.clients.map(
        (c: { name: string }) => c.name,
      )
    expect(await names(`group=${parent.id}`)).toEqual(['in'])
    expect(await names('group=')).toEqual(['out'])
  })

  it('has no parent of another domain', async () => {
    const { token } = await api.given.person()
    const [one, two] = [await api.given.domain(token), await api.given.domain(token)]
    const { body: foreign } = await api.expect(201, 'POST', `/${one.id}/groups`, {
      token,
      body: { name: 'p' },
    })
    const answer = await api.call('POST', `/${two.id}/groups`, {
      token,
      body: { name: 'c', parent_id: foreign.id },
    })
    expect(answer.status).toBe(404)
  })

  it('stands at most twenty levels deep', async () => {
    const { token } = await api.given.person()
    const domain = await api.given.domain(token)
    let parent_id: string | undefined
    for (let level = 1; level <= 20; level++) {
      parent_id = (
        await api.expect(201, 'POST', `/${domain.id}/groups`, { token, body: { name: 'g', parent_id } })
      ).body.id
    }
    const answer = await api.call('POST', `/${domain.id}/groups`, { token, body: { name: 'g', parent_id } })
    expect([answer.status, answer.body.error]).toEqual([400, 'group_too_deep'])
  })
})
