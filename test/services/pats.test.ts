import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { OPERATIONS, deedsOf } from '../../services/auth/operations.ts'
import type { OperationName } from '../../services/auth/operations.ts'
import { SCOPE_OPERATIONS } from '../../services/auth/scopes.ts'
import { createClient } from '../../platform/db/connect.ts'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { ADMIN, startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'
import { fill, formsOf } from '../support/route-slots.ts'
import type { Slot } from '../support/route-slots.ts'
import { makeTenant } from '../support/tenant.ts'

let gateway: TestGateway
let api: Api
beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
})
afterAll(() => gateway.stop())

interface Scope {
  entity_type: string
  operation: string
  domain_id?: string
  entity_id?: string
}

async function makePat(token: string, ...scopes: Scope[]) {
  const { body } = await api.expect(201, 'POST', '/pats', { token, body: { name: 'robot', duration: '30d' } })
  if (scopes.length > 0) await addScopes(token, body.id, ...scopes)
  return { id: body.id as string, secret: body.secret as string, body }
}

/** A list of words, about nobody and nothing. */
const SAME_FOR_ALL = '/domains/roles/available-actions'

const addScopes = (token: string, id: string, ...scopes: Scope[]) =>
  api.expect(200, 'PATCH', `/pats/${id}/scope/add`, { token, body: { scopes } })

const statusOf = async (token: string, method: string, path: string, body?: unknown) =>
  (await api.call(method, path, { token, body })).status

/** What a token with these scopes is shown of the private metadata of its owner's client, by every route that shows a client. */
async function privatePartsShown(...operations: string[]) {
  const { domain, client, token } = await api.given.site()
  const path = `/${domain.id}/clients/${client.id}`
  await api.expect(200, 'PATCH', path, { token, body: { private_metadata: { b: 2 } } })
  const all = { entity_type: 'clients', domain_id: domain.id, entity_id: '*' }
  const scopes = operations.map((operation) => ({ ...all, operation }))
  const { secret } = await makePat(token, ...scopes)
  const call = async (method: string, rest = '', body?: unknown) =>
    (await api.expect(200, method, path + rest, { token: secret, body })).body
  const { body: list } = await api.expect(200, 'GET', `/${domain.id}/clients`, { token: secret })
  const answers = [
    list.clients[0],
    await call('GET'),
    await call('PATCH', '/tags', { tags: ['a'] }),
    await call('PATCH', '/tags', {}),
    await call('PATCH', '/secret', { secret: 'another' }),
    await call('POST', '/secret/rotate', {}),
    await call('POST', '/disable'),
    await call('POST', '/enable'),
  ]
  return answers.map((answer) => answer.private_metadata)
}

describe('a personal access token', () => {
  it('is shown the private metadata of clients with the scope to update them, and without it nowhere', async () => {
    const others = ['view', 'list', 'update_tags', 'update_secret', 'enable', 'disable']
    const without = await privatePartsShown(...others)
    expect(without).toEqual(without.map(() => undefined))
    const withScope = await privatePartsShown(...others, 'update')
    expect(withScope).toEqual(withScope.map(() => ({ b: 2 })))
  })

  it('is made with a secret that names user and token, and is shown that once', async () => {
    const person = await api.given.person()
    const pat = await makePat(person.token)
    const [, ids, random] = /^pat_([^_]{44})_([A-Za-z0-9]{100})$/.exec(pat.secret) ?? []
    const hex = Buffer.from(ids ?? '', 'base64').toString('hex')
    expect(hex).toBe((person.id + pat.id).replaceAll('-', ''))
    expect(random).toBeDefined()
    expect(pat.body).toMatchObject({ user_id: person.id, name: 'robot', description: '', revoked: false })
    expect(Date.parse(pat.body.expires_at) - Date.parse(pat.body.issued_at)).toBeGreaterThan(29 * 86_400_000)

    const { body, text } = await api.expect(200, 'GET', `/pats/${pat.id}`, { token: person.token })
    expect(body.status).toBe('active')
    expect(text).not.toContain('secret')
    const { rows } = await query('select encode(secret_hash, $1) as hash from pats where id = $2', [
      'escape',
      pat.id,
    ])
    expect(rows[0].hash).not.toContain(random)
  })

  it('needs a name and a duration as Go writes them, or in days', async () => {
    const { token } = await api.given.person()
    const make = (body: unknown) => api.call('POST', '/pats', { token, body })
    for (const duration of ['720h', '1h30m', '1.5h', '30d']) {
      expect((await make({ name: 'x', duration })).status).toBe(201)
    }
    for (const body of [
      { name: 'x' },
      { name: 'x', duration: '' },
      { name: 'x', duration: 'soon' },
      { name: 'x', duration: '0s' },
      { duration: '1h' },
      { name: '', duration: '1h' },
    ]) {
      expect((await make(body)).status).toBe(400)
    }
  })

  it('is listed, renamed, described and deleted by its owner, and nothing to others', async () => {
    const [person, thief] = [await api.given.person(), await api.given.person()]
    const { id } = await makePat(person.token)
    const { token } = person
    const renamed = await api.expect(202, 'PATCH', `/pats/${id}/name`, { token, body: { name: 'new name' } })
    expect(renamed.body.name).toBe('new name')
    expect(renamed.body.updated_at).toBeDefined()
    const described = await api.expect(202, 'PATCH', `/pats/${id}/description`, {
      token,
      body: { description: 'for the backup' },
    })
    expect(described.body.description).toBe('for the backup')
    const { body: page } = await api.expect(200, 'GET', '/pats?name=NEW&limit=5', { token })
    expect(page).toMatchObject({ total: 1, offset: 0, limit: 5, pats: [{ id, name: 'new name' }] })

    for (const [method, path, body] of [
      ['GET', ''],
      ['PATCH', '/name', { name: 'x' }],
      ['DELETE', ''],
      ['PATCH', '/secret/revoke'],
      ['PATCH', '/secret/reset', { duration: '1h' }],
      ['GET', '/scope'],
      ['DELETE', '/scope'],
    ] as const) {
      expect(await statusOf(thief.token, method, `/pats/${id}${path}`, body)).toBe(404)
    }
    await api.expect(204, 'DELETE', `/pats/${id}`, { token })
    expect(await statusOf(token, 'GET', `/pats/${id}`)).toBe(404)
    await makePat(token)
    await api.expect(200, 'DELETE', '/pats', { token })
    expect((await api.expect(200, 'GET', '/pats?status=all', { token })).body.total).toBe(0)
  })

  it('is dead when revoked or expired, and lives again with a new secret alone', async () => {
    const person = await api.given.person()
    const { token } = person
    const view = { entity_type: 'users', operation: 'view_profile', entity_id: '*' }
    const pat = await makePat(token, view)
    const profile = (secret: string) => statusOf(secret, 'GET', '/users/profile')
    expect(await profile(pat.secret)).toBe(200)
    await api.expect(204, 'PATCH', `/pats/${pat.id}/secret/revoke`, { token })
    expect(await profile(pat.secret)).toBe(401)
    const { body: revoked } = await api.expect(200, 'GET', '/pats?status=revoked', { token })
    expect(revoked.pats[0]).toMatchObject({ id: pat.id, status: 'revoked', revoked: true })
    expect((await api.expect(200, 'GET', '/pats', { token })).body.total).toBe(0)

    const { body: again } = await api.expect(200, 'PATCH', `/pats/${pat.id}/secret/reset`, {
      token,
      body: { duration: '1h' },
    })
    expect(again).toMatchObject({ id: pat.id, status: 'active', revoked: false })
    expect(await profile(pat.secret)).toBe(401)
    expect(await profile(again.secret)).toBe(200)

    await query("update pats set expires_at = now() - interval '1 second' where id = $1", [pat.id])
    expect(await profile(again.secret)).toBe(401)
    expect((await api.expect(200, 'GET', '/pats?status=expired', { token })).body.pats[0].id).toBe(pat.id)
  })

  it('tells when it was last used, without a write for each use', async () => {
    const person = await api.given.person()
    const pat = await makePat(person.token, {
      entity_type: 'users',
      operation: 'view_profile',
      entity_id: '*',
    })
    const used = async () =>
      (await api.expect(200, 'GET', `/pats/${pat.id}`, { token: person.token })).body.last_used_at
    expect(await used()).toBeUndefined()
    await api.expect(200, 'GET', '/users/profile', { token: pat.secret })
    const first = await used()
    expect(first).toBeDefined()
    await api.expect(200, 'GET', '/users/profile', { token: pat.secret })
    expect(await used()).toBe(first)
  })

  it('dies with its owner', async () => {
    const person = await api.given.person()
    const pat = await makePat(person.token, { entity_type: 'users', operation: 'view', entity_id: '*' })
    await api.expect(200, 'POST', `/users/${person.id}/disable`, { token: person.token })
    expect(await statusOf(pat.secret, 'GET', `/users/${person.id}`)).toBe(401)
  })

  it('is refused with 401 where tokens, keys and passwords are made', async () => {
    const person = await api.given.person()
    const all = [...SCOPE_OPERATIONS.users].map((operation) => ({
      entity_type: 'users',
      operation,
      entity_id: '*',
    }))
    const { secret, id } = await makePat(person.token, ...all)
    for (const [method, path, body] of [
      ['GET', '/pats'],
      ['POST', '/pats', { name: 'x', duration: '1h' }],
      ['PATCH', `/pats/${id}/scope/add`, { scopes: [] }],
      ['POST', '/keys/rotate'],
      ['PATCH', '/users/secret', { old_secret: person.password, new_secret: 'new password' }],
      ['POST', '/users/tokens/refresh'],
      ['POST', '/users/tokens/revoke', { token_id: id }],
      ['GET', '/users/tokens/refresh-tokens'],
      ['PUT', '/password/reset', { password: 'new password', confirm_password: 'new password' }],
    ] as const) {
      expect([path, await statusOf(secret, method, path, body)]).toEqual([path, 401])
    }
  })

  it.each([
    'pat_',
    `pat_${'A'.repeat(43)}=_${'x'.repeat(100)}`,
    `pat_${'A'.repeat(43)}=_${'x'.repeat(99)}`,
    `pat_${'/'.repeat(43)}=_${'x'.repeat(100)}`,
  ])('is not what merely looks like one: %s', async (secret) => {
    expect(await statusOf(secret, 'GET', '/users/profile')).toBe(401)
  })
})

describe('scopes', () => {
  it('are added, listed and removed; one that is there already is 409 and adds none', async () => {
    const { token } = await api.given.person()
    const domain = await api.given.domain(token)
    const { id } = await makePat(token)
    const view = { entity_type: 'clients', domain_id: domain.id, entity_id: '*', operation: 'view' }
    const list = { entity_type: 'clients', domain_id: domain.id, operation: 'list' }
    await addScopes(token, id, view)
    const again = await api.call('PATCH', `/pats/${id}/scope/add`, { token, body: { scopes: [list, view] } })
    expect(again.status).toBe(409)
    const scopes = async () => (await api.expect(200, 'GET', `/pats/${id}/scope`, { token })).body
    expect(await scopes()).toMatchObject({ total: 1, scopes: [{ pat_id: id, ...view }] })
    await addScopes(token, id, list)
    const { scopes: two } = await scopes()
    expect(two[1].entity_id).toBe('*')
    await api.expect(200, 'PATCH', `/pats/${id}/scope/remove`, { token, body: { scopes_id: [two[0].id] } })
    expect((await scopes()).total).toBe(1)
    await api.expect(200, 'DELETE', `/pats/${id}/scope`, { token })
    expect((await scopes()).total).toBe(0)
  })

  it.each([
    ['an unknown type', { entity_type: 'things', operation: 'view', entity_id: '*' }, 'entity_type'],
    ['an unknown operation', { entity_type: 'users', operation: 'publish', entity_id: '*' }, 'operation'],
    ['no domain', { entity_type: 'clients', operation: 'view', entity_id: '*' }, 'domain_id'],
    ['no entity', { entity_type: 'users', operation: 'view' }, 'entity_id'],
    ['an entity that is no id', { entity_type: 'users', operation: 'view', entity_id: 'me' }, 'entity_id'],
  ])('are refused with %s', async (_what, scope, field) => {
    const { token } = await api.given.person()
    const { id } = await makePat(token)
    const answer = await api.call('PATCH', `/pats/${id}/scope/add`, { token, body: { scopes: [scope] } })
    expect([answer.status, answer.body.message]).toEqual([400, expect.stringContaining(field)])
  })

  it('have a word for everything that takes a permission', () => {
    for (const name of Object.keys(OPERATIONS) as OperationName[]) {
      for (const { entityType, operation } of deedsOf(name, 'd', 'e')) {
        expect([name, SCOPE_OPERATIONS[entityType]]).toEqual([name, expect.arrayContaining([operation])])
      }
    }
  })
})

describe('what a token with scopes may do', () => {
  it('is nothing without scopes, on no route, for a superadmin too', async () => {
    const site = await api.given.site()
    const root = await api.signIn(ADMIN.username, ADMIN.password)
    const d = site.domain.id
    for (const owner of [site.token, root.token]) {
      const { secret } = await makePat(owner)
      for (const [method, path, body] of [
        ['GET', '/users'],
        ['GET', '/users/profile'],
        ['GET', '/users/search?username=abc'],
        ['GET', `/users/${site.person.id}`],
        ['PATCH', `/users/${site.person.id}`, { first_name: 'x' }],
        ['GET', `/users/${site.person.id}/domains`],
        ['GET', `/journal/user/${site.person.id}`],
        ['POST', '/users/send-verification'],
        ['POST', '/domains', { name: 'x' }],
        ['GET', '/domains'],
        ['GET', `/domains/${d}`],
        ['GET', `/${d}/clients`],
        ['POST', `/${d}/clients`, { name: 'x' }],
        ['GET', `/${d}/clients/${site.client.id}`],
        ['GET', `/${d}/channels`],
        ['PATCH', `/${d}/channels/${site.channel.id}`, { name: 'x' }],
        [
          'POST',
          `/${d}/channels/disconnect`,
          { client_ids: [site.client.id], channel_ids: [site.channel.id] },
        ],
        ['GET', `/${d}/groups`],
        ['POST', `/${d}/groups`, { name: 'x' }],
        ['GET', `/${d}/channels/${site.channel.id}/messages`],
        ['GET', `/${d}/journal/client/${site.client.id}`],
        ['POST', `/${site.topic}`, {}],
      ] as const) {
        expect([path, await statusOf(secret, method, path, body)]).toEqual([path, 403])
      }
    }
  })

  it('is nothing without scopes on whichever route there is for users', async () => {
    const { token, ids } = await makeTenant(api, 'mine')
    const { secret } = await makePat(token)
    const own = ({ place, isNew, kind }: Slot) => (place === 'query' || isNew ? undefined : ids[kind][0])
    const answered: unknown[] = []
    for (const form of gateway.endpoints.flatMap(formsOf)) {
      if (form.route.access !== 'user' || form.path === SAME_FOR_ALL) continue
      const { path, body } = fill(form, own)
      const answer = await api.call(form.method, path, { token: secret, body })
      // Lists over all domains are open, and show those domains that scopes name: none.
      const isOverAll = form.method === 'GET' && (path === '/clients' || path === '/channels')
      const isRefused = isOverAll ? answer.body.total === 0 : answer.status === 403
      if (!isRefused) answered.push([form.method, path, answer.status, answer.text])
    }
    expect(answered).toEqual([])
  })

  it('is what the scope names: type, domain, operation, and one entity or all', async () => {
    const { token } = await api.given.person()
    const [d, e] = [(await api.given.domain(token)).id, (await api.given.domain(token)).id]
    const [one, two] = [await api.given.client(token, d), await api.given.client(token, d)]
    const elsewhere = await api.given.client(token, e)
    const scope = { entity_type: 'clients', domain_id: d, operation: 'view' }
    const single = await makePat(token, { ...scope, entity_id: one.id })
    const every = await makePat(token, { ...scope, entity_id: '*' })
    const view = (secret: string, domain: string, id: string) =>
      statusOf(secret, 'GET', `/${domain}/clients/${id}`)
    expect(await view(single.secret, d, one.id)).toBe(200)
    expect(await view(single.secret, d, two.id)).toBe(403)
    expect(await view(every.secret, d, two.id)).toBe(200)
    expect(await view(every.secret, e, elsewhere.id)).toBe(403)
    expect(await statusOf(every.secret, 'GET', `/${d}/clients`)).toBe(403)
    expect(await statusOf(every.secret, 'POST', `/${d}/clients`, { name: 'x' })).toBe(403)
  })

  it('never widens what its owner may do', async () => {
    const [owner, stranger] = [await api.given.person(), await api.given.person()]
    const d = (await api.given.domain(owner.token)).id
    const client = await api.given.client(owner.token, d)
    const { secret } = await makePat(
      stranger.token,
      { entity_type: 'clients', domain_id: d, operation: 'view', entity_id: '*' },
      { entity_type: 'clients', domain_id: d, operation: 'list' },
      { entity_type: 'users', operation: 'update', entity_id: '*' },
      { entity_type: 'users', operation: 'update_role', entity_id: '*' },
    )
    expect(await statusOf(secret, 'GET', `/${d}/clients/${client.id}`)).toBe(403)
    expect(await statusOf(secret, 'GET', `/${d}/clients`)).toBe(403)
    expect(await statusOf(secret, 'PATCH', `/users/${owner.id}`, { first_name: 'x' })).toBe(403)
    expect(await statusOf(secret, 'PATCH', `/users/${stranger.id}/role`, { role: 'admin' })).toBe(403)
    expect(await statusOf(secret, 'PATCH', `/users/${stranger.id}`, { first_name: 'x' })).toBe(200)
  })

  it('lets create and list under both names, and lists over all domains only those named', async () => {
    const { token } = await api.given.person()
    const [d, e] = [(await api.given.domain(token)).id, (await api.given.domain(token)).id]
    await api.given.client(token, e)
    for (const scopes of [
      [
        { entity_type: 'clients', domain_id: d, operation: 'create_clients' },
        { entity_type: 'clients', domain_id: d, operation: 'list_clients' },
      ],
      [
        { entity_type: 'domains', domain_id: d, entity_id: d, operation: 'create_clients' },
        { entity_type: 'domains', domain_id: d, entity_id: d, operation: 'list_clients' },
      ],
    ]) {
      const { secret } = await makePat(token, ...scopes)
      const made = await api.expect(201, 'POST', `/${d}/clients`, { token: secret, body: { name: 'made' } })
      const listed = await api.expect(200, 'GET', `/${d}/clients`, { token: secret })
      const over = await api.expect(200, 'GET', '/clients', { token: secret })
      expect(over.body.total).toBe(listed.body.total)
      expect(over.body.clients.map((client: { id: string }) => client.id)).toContain(made.body.id)
      expect(await statusOf(secret, 'POST', `/${e}/clients`, { name: 'x' })).toBe(403)
    }
  })

  it('creates under a group with the scopes for both, and not with one of them', async () => {
    const { token } = await api.given.person()
    const d = (await api.given.domain(token)).id
    const group = (await api.expect(201, 'POST', `/${d}/groups`, { token, body: { name: 'g' } })).body.id
    const create = { entity_type: 'clients', domain_id: d, operation: 'create' }
    const under = { entity_type: 'groups', domain_id: d, entity_id: group, operation: 'set_child_client' }
    const body = { name: 'x', parent_group_id: group }
    for (const [scopes, status] of [
      [[create], 403],
      [[under], 403],
      [[create, under], 201],
    ] as const) {
      const { secret } = await makePat(token, ...scopes)
      expect(await statusOf(secret, 'POST', `/${d}/clients`, body)).toBe(status)
    }
  })

  it('publishes and reads with the scopes of messages, over HTTP, WebSocket and the reader', async () => {
    const site = await api.given.site()
    const scope = { entity_type: 'messages', domain_id: site.domain.id, entity_id: site.channel.id }
    const writes = await makePat(site.token, { ...scope, operation: 'publish' })
    const reads = await makePat(site.token, { ...scope, operation: 'message_subscribe' })
    const publish = (secret: string) => statusOf(secret, 'POST', `/${site.topic}`, [{ n: 'x', v: 1 }])
    expect(await publish(writes.secret)).toBe(202)
    expect(await publish(reads.secret)).toBe(403)
    const messages = `/${site.domain.id}/channels/${site.channel.id}/messages`
    expect(await statusOf(writes.secret, 'GET', messages)).toBe(403)
    expect(await statusOf(reads.secret, 'GET', messages)).toBe(200)

    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/${site.topic}`, {
      headers: { authorization: `Bearer ${reads.secret}` },
    })
    const closed = new Promise<number>((resolve) => socket.once('close', resolve))
    const heard = new Promise((resolve) => socket.once('message', resolve))
    await new Promise<void>((resolve, reject) => socket.once('open', resolve).once('error', reject))
    expect(await publish(writes.secret)).toBe(202)
    await heard
    await api.expect(204, 'PATCH', `/pats/${reads.id}/secret/revoke`, { token: site.token })
    expect(await closed).toBe(1008)
  })

  it('ends for live connections when a scope is taken away', async () => {
    const site = await api.given.site()
    const scope = { entity_type: 'messages', domain_id: site.domain.id, entity_id: '*', operation: 'publish' }
    const { id, secret } = await makePat(site.token, scope)
    const publish = () => statusOf(secret, 'POST', `/${site.topic}`, {})
    expect(await publish()).toBe(202)
    await api.expect(200, 'DELETE', `/pats/${id}/scope`, { token: site.token })
    await eventually('publishing is refused', async () => (await publish()) === 403)
  })
})

async function query(text: string, values: unknown[]) {
  const client = createClient(gateway.ground.databaseUrl, 'test')
  await client.connect()
  try {
    return await client.query(text, values)
  } finally {
    await client.end()
  }
}
