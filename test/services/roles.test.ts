import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Api, Person } from '../support/api.ts'
import { ADMIN, startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

let gateway: TestGateway
let api: Api
beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
})
afterAll(() => gateway.stop())

type Type = 'domain' | 'group' | 'client' | 'channel'
const TYPES: readonly Type[] = ['domain', 'group', 'client', 'channel']

interface Place {
  readonly owner: Person
  readonly domain: { readonly id: string }
  /** Of the entity's roles. */
  readonly path: string
  readonly entityId: string
}

/** An entity of the type, with its owner and its domain. */
async function place(type: Type): Promise<Place> {
  const owner = await api.given.person()
  const domain = await api.given.domain(owner.token)
  if (type === 'domain') return { owner, domain, path: `/domains/${domain.id}/roles`, entityId: domain.id }
  const { body } = await api.expect(201, 'POST', `/${domain.id}/${type}s`, {
    token: owner.token,
    body: { name: 'it' },
  })
  return { owner, domain, path: `/${domain.id}/${type}s/${body.id}/roles`, entityId: body.id }
}

/** A person who belongs to the domain with nothing but that. */
async function memberOf({ owner, domain }: Pick<Place, 'owner' | 'domain'>): Promise<Person> {
  const person = await api.given.person()
  await makeRole(owner.token, `/domains/${domain.id}/roles`, `of ${person.id}`, [], [person.id])
  return person
}

async function makeRole(
  token: string,
  path: string,
  role_name: string,
  optional_actions?: string[],
  optional_members?: string[],
) {
  const body = { role_name, optional_actions, optional_members }
  return (await api.expect(201, 'POST', path, { token, body })).body
}

describe.each(TYPES)('a role on a %s', (type) => {
  it('is made, read, renamed, listed and deleted', async () => {
    const it = await place(type)
    const { token } = it.owner
    const { body: available } = await api.expect(
      200,
      'GET',
      type === 'domain'
        ? '/domains/roles/available-actions'
        : `/${it.domain.id}/${type}s/roles/available-actions`,
      { token },
    )
    expect(available.available_actions).toHaveLength({ domain: 42, group: 65, client: 9, channel: 11 }[type])
    const role = await makeRole(token, it.path, 'Readers', ['read', 'update'])
    expect(role).toMatchObject({
      name: 'Readers',
      entity_id: it.entityId,
      created_by: it.owner.id,
      optional_actions: ['read', 'update'],
      optional_members: [],
    })
    expect(role.id).toMatch(new RegExp(`^${type}_`))
    const { body: read } = await api.expect(200, 'GET', `${it.path}/${role.id}`, { token })
    expect(read).toMatchObject({ id: role.id, name: 'Readers', actions: ['read', 'update'] })
    // What the SDK sends: the whole role.
    const { body: renamed } = await api.expect(200, 'PUT', `${it.path}/${role.id}`, {
      token,
      body: { ...role, name: 'Others' },
    })
    expect(renamed).toMatchObject({ id: role.id, name: 'Others', updated_by: it.owner.id })
    const { body: list } = await api.expect(200, 'GET', `${it.path}?order=name&dir=asc`, { token })
    expect(list).toMatchObject({
      total: 2,
      offset: 0,
      limit: 10,
      roles: [{ name: 'Others' }, { name: 'admin' }],
    })
    expect((await api.expect(200, 'GET', `${it.path}?name=OTH&limit=1`, { token })).body.total).toBe(1)
    await api.expect(204, 'DELETE', `${it.path}/${role.id}`, { token })
    expect((await api.call('GET', `${it.path}/${role.id}`, { token })).status).toBe(404)
  })

  it('has a name that no other role on the entity has, also when fifty want it at once', async () => {
    const it = await place(type)
    const answers = await Promise.all(
      Array.from({ length: 50 }, () =>
        api.call('POST', it.path, { token: it.owner.token, body: { role_name: 'same' } }),
      ),
    )
    const statuses = answers.map((answer) => answer.status).sort((a, b) => a - b)
    expect(statuses).toEqual([201, ...Array.from({ length: 49 }, () => 409)])
    const role = await makeRole(it.owner.token, it.path, 'other')
    const taken = await api.call('PUT', `${it.path}/${role.id}`, {
      token: it.owner.token,
      body: { name: 'same' },
    })
    expect([taken.status, taken.body.error]).toEqual([409, 'role_name_taken'])
  })

  it('takes actions and gives them up, those it holds or lacks already being no error', async () => {
    const it = await place(type)
    const { token } = it.owner
    const role = await makeRole(token, it.path, 'r', ['read'])
    const actions = async () =>
      (await api.expect(200, 'GET', `${it.path}/${role.id}/actions`, { token })).body.actions
    const { body } = await api.expect(200, 'POST', `${it.path}/${role.id}/actions`, {
      token,
      body: { actions: ['read', 'update', 'delete'] },
    })
    expect(body).toEqual({ actions: ['read', 'update', 'delete'] })
    expect(await actions()).toEqual(['delete', 'read', 'update'])
    for (let twice = 0; twice < 2; twice++) {
      await api.expect(204, 'POST', `${it.path}/${role.id}/actions/delete`, {
        token,
        body: { actions: ['read'] },
      })
    }
    expect(await actions()).toEqual(['delete', 'update'])
    await api.expect(204, 'POST', `${it.path}/${role.id}/actions/delete-all`, {
      token,
      headers: { 'content-type': 'application/json' },
    })
    expect(await actions()).toEqual([])
  })

  it('knows no other actions: 400, and nothing is half-done', async () => {
    const it = await place(type)
    const { token } = it.owner
    const made = await api.call('POST', it.path, {
      token,
      body: { role_name: 'r', optional_actions: ['read', 'fly'] },
    })
    expect([made.status, made.body.error]).toEqual([400, 'unknown_action'])
    const role = await makeRole(token, it.path, 'r')
    const added = await api.call('POST', `${it.path}/${role.id}/actions`, {
      token,
      body: { actions: ['read', 'fly'] },
    })
    expect([added.status, added.body.message]).toEqual([400, 'unknown action: fly'])
    const { body } = await api.expect(200, 'GET', `${it.path}/${role.id}/actions`, { token })
    expect(body.actions).toEqual([])
  })

  it('takes members, who may be in one role of the entity alone', async () => {
    const it = await place(type)
    const { token } = it.owner
    const person = type === 'domain' ? await api.given.person() : await memberOf(it)
    const role = await makeRole(token, it.path, 'one', ['read'])
    const other = await makeRole(token, it.path, 'two', ['read'])
    const body = { members: [person.id] }
    const added = await api.expect(200, 'POST', `${it.path}/${role.id}/members`, { token, body })
    expect(added.body).toEqual(body)
    await api.expect(200, 'POST', `${it.path}/${role.id}/members`, { token, body })
    const second = await api.call('POST', `${it.path}/${other.id}/members`, { token, body })
    expect([second.status, second.body.error]).toEqual([409, 'already_in_role'])
    const list = () => api.expect(200, 'GET', `${it.path}/${role.id}/members`, { token })
    expect((await list()).body).toEqual({ total: 1, offset: 0, limit: 10, members: [person.id] })
    await api.expect(204, 'POST', `${it.path}/${role.id}/members/delete`, { token, body })
    expect((await list()).body.members).toEqual([])
    await api.expect(200, 'POST', `${it.path}/${other.id}/members`, { token, body })
    await api.expect(204, 'POST', `${it.path}/${other.id}/members/delete-all`, { token })
    expect((await api.expect(200, 'GET', `${it.path}/${other.id}/members`, { token })).body.total).toBe(0)
  })

  it('has no members who are nobody', async () => {
    const it = await place(type)
    const role = await makeRole(it.owner.token, it.path, 'one')
    const answer = await api.call('POST', `${it.path}/${role.id}/members`, {
      token: it.owner.token,
      body: { members: ['00000000-0000-4000-8000-000000000000'] },
    })
    expect([answer.status, answer.body.error]).toEqual([400, 'unknown_user'])
  })

  it('is nothing to an entity of the same type beside it: 404', async () => {
    const it = await place(type)
    const { token } = it.owner
    const beside =
      type === 'domain'
        ? `/domains/${(await api.given.domain(token)).id}`
        : `/${it.domain.id}/${type}s/${(await api.expect(201, 'POST', `/${it.domain.id}/${type}s`, { token, body: { name: 'x' } })).body.id}`
    const role = await makeRole(token, it.path, 'r')
    for (const [method, tail, body] of [
      ['GET', '', undefined],
      ['PUT', '', { name: 'x' }],
      ['DELETE', '', undefined],
      ['POST', '/actions', { actions: ['read'] }],
      ['GET', '/actions', undefined],
      ['POST', '/actions/delete', { actions: ['read'] }],
      ['POST', '/actions/delete-all', undefined],
      ['POST', '/members', { members: [it.owner.id] }],
      ['GET', '/members', undefined],
      ['POST', '/members/delete', { members: [it.owner.id] }],
      ['POST', '/members/delete-all', undefined],
    ] as const) {
      const answer = await api.call(method, `${beside}/roles/${role.id}${tail}`, { token, body })
      expect([method, tail, answer.status]).toEqual([method, tail, 404])
    }
  })

  it('takes the permission of each thing to do it, and tells strangers nothing', async () => {
    const it = await place(type)
    const { token } = it.owner
    const role = await makeRole(token, it.path, 'r')
    const weak = await makeRole(token, it.path, 'weak', [])
    const person = type === 'domain' ? await api.given.person() : await memberOf(it)
    await api.expect(200, 'POST', `${it.path}/${weak.id}/members`, { token, body: { members: [person.id] } })
    const stranger = await api.given.person()
    const calls = [
      ['manage_role', 'POST', '', { role_name: 'x' }],
      ['manage_role', 'PUT', `/${role.id}`, { name: 'r2' }],
      ['manage_role', 'POST', `/${role.id}/actions`, { actions: ['read'] }],
      ['manage_role', 'POST', `/${role.id}/actions/delete`, { actions: ['read'] }],
      ['manage_role', 'POST', `/${role.id}/actions/delete-all`, undefined],
      ['view_role_users', 'GET', '', undefined],
      ['view_role_users', 'GET', '/members', undefined],
      ['view_role_users', 'GET', `/${role.id}`, undefined],
      ['view_role_users', 'GET', `/${role.id}/actions`, undefined],
      ['view_role_users', 'GET', `/${role.id}/members`, undefined],
      ['add_role_users', 'POST', `/${role.id}/members`, { members: [it.owner.id] }],
      ['remove_role_users', 'POST', `/${role.id}/members/delete`, { members: [stranger.id] }],
      ['remove_role_users', 'POST', `/${role.id}/members/delete-all`, undefined],
      ['remove_role_users', 'DELETE', '', { member_ids: [stranger.id] }],
      ['manage_role', 'DELETE', `/${role.id}`, undefined],
    ] as const
    const missing = it.path.replace(it.entityId, '11111111-1111-4111-8111-111111111111')
    for (const [action, method, tail, body] of calls) {
      const refused = await api.call(method, it.path + tail, { token: person.token, body })
      expect([action, method, tail, refused.status]).toEqual([action, method, tail, 403])
      const outside = await api.call(method, it.path + tail, { token: stranger.token, body })
      const nowhere = await api.call(method, missing + tail, { token: stranger.token, body })
      expect([outside.status, outside.text]).toEqual([403, nowhere.text])
    }
    for (const [action, method, tail, body] of calls) {
      await api.expect(200, 'POST', `${it.path}/${weak.id}/actions`, { token, body: { actions: [action] } })
      const answer = await api.call(method, it.path + tail, { token: person.token, body })
      expect(answer.status).not.toBe(403)
      await api.expect(204, 'POST', `${it.path}/${weak.id}/actions/delete-all`, { token })
    }
  })

  it('is made with members by those alone who may add members', async () => {
    const it = await place(type)
    const { token } = it.owner
    const [maker, other] =
      type === 'domain'
        ? [await api.given.person(), await api.given.person()]
        : [await memberOf(it), await memberOf(it)]
    await makeRole(token, it.path, 'makers', ['manage_role'], [maker.id])
    const body = { role_name: 'x', optional_members: [other.id] }
    expect((await api.call('POST', it.path, { token: maker.token, body })).status).toBe(403)
    const made = await api.expect(201, 'POST', it.path, { token, body })
    expect(made.body.optional_members).toEqual([other.id])
  })

  it('leaves an entry in the journal for every change', async () => {
    const it = await place(type)
    const { token } = it.owner
    const person = type === 'domain' ? await api.given.person() : await memberOf(it)
    const role = await makeRole(token, it.path, 'r')
    await api.expect(200, 'PUT', `${it.path}/${role.id}`, { token, body: { name: 's' } })
    await api.expect(200, 'POST', `${it.path}/${role.id}/actions`, { token, body: { actions: ['read'] } })
    await api.expect(204, 'POST', `${it.path}/${role.id}/actions/delete`, {
      token,
      body: { actions: ['read'] },
    })
    await api.expect(204, 'POST', `${it.path}/${role.id}/actions/delete-all`, { token })
    const members = { token, body: { members: [person.id] } }
    await api.expect(200, 'POST', `${it.path}/${role.id}/members`, members)
    await api.expect(204, 'POST', `${it.path}/${role.id}/members/delete`, members)
    await api.expect(204, 'POST', `${it.path}/${role.id}/members/delete-all`, { token })
    await api.expect(200, 'POST', `${it.path}/${role.id}/members`, members)
    await api.expect(204, 'DELETE', it.path, { token, body: { member_ids: [person.id] } })
    await api.expect(204, 'DELETE', `${it.path}/${role.id}`, { token })
    const { rows } = await gateway.ground.query(
      `select operation from journal where entity_id = $1 and operation like '%.role.%'
        and attributes->>'role_name' is distinct from $2 order by seq`,
      [it.entityId, `of ${person.id}`],
    )
    expect(rows.map((row) => String(row['operation']).replace(`${type}.role.`, ''))).toEqual([
      'add',
      'update',
      'actions.add',
      'actions.remove',
      'actions.remove_all',
      'members.add',
      'members.remove',
      'members.remove_all',
      'members.add',
      'members.remove_from_all_roles',
      'remove',
    ])
  })
})

describe('a role inside a domain', () => {
  it.each(['group', 'client', 'channel'] as const)(
    'on a %s takes members of the domain alone',
    async (type) => {
      const it = await place(type)
      const { token } = it.owner
      const stranger = await api.given.person()
      const role = await makeRole(token, it.path, 'r', ['read'])
      const body = { members: [stranger.id] }
      const answer = await api.call('POST', `${it.path}/${role.id}/members`, { token, body })
      expect([answer.status, answer.body.error]).toEqual([400, 'not_in_domain'])
      expect(answer.body.message).toContain('member id is not member of domain')
      const made = await api.call('POST', it.path, {
        token,
        body: { role_name: 'x', optional_members: [stranger.id] },
      })
      expect(made.status).toBe(400)
      expect((await api.expect(200, 'GET', it.path, { token })).body.total).toBe(2)
    },
  )

  it('goes with the membership of the domain, by whatever way that ends', async () => {
    const { owner, domain, path } = await place('client')
    const { token } = owner
    const domainPath = `/domains/${domain.id}/roles`
    const clientRole = await makeRole(token, path, 'r', ['read'])
    const holders = async () =>
      (await api.expect(200, 'GET', `${path}/${clientRole.id}/members`, { token })).body.members
    const leave: ((role: string, person: string) => Promise<unknown>)[] = [
      (role, person) =>
        api.expect(204, 'POST', `${domainPath}/${role}/members/delete`, {
          token,
          body: { members: [person] },
        }),
      (role) => api.expect(204, 'POST', `${domainPath}/${role}/members/delete-all`, { token }),
      (_role, person) => api.expect(204, 'DELETE', domainPath, { token, body: { member_ids: [person] } }),
      (role) => api.expect(204, 'DELETE', `${domainPath}/${role}`, { token }),
    ]
    for (const [index, act] of leave.entries()) {
      const person = await api.given.person()
      const role = await makeRole(token, domainPath, `r${index}`, ['read'], [person.id])
      await api.expect(200, 'POST', `${path}/${clientRole.id}/members`, {
        token,
        body: { members: [person.id] },
      })
      expect(await holders()).toEqual([person.id])
      await act(role.id, person.id)
      expect(await holders()).toEqual([])
    }
  })

  it('is given to nobody who leaves the domain at the same time', async () => {
    const { owner, domain, path } = await place('channel')
    const { token } = owner
    const role = await makeRole(token, path, 'r', ['read'])
    for (let round = 0; round < 8; round++) {
      const person = await memberOf({ owner, domain })
      await Promise.all([
        api.call('POST', `${path}/${role.id}/members`, { token, body: { members: [person.id] } }),
        api.expect(204, 'DELETE', `/domains/${domain.id}/roles`, {
          token,
          body: { member_ids: [person.id] },
        }),
      ])
      const { body } = await api.expect(200, 'GET', `${path}/${role.id}/members`, { token })
      expect(body.members).toEqual([])
    }
  })
})

describe("a domain's built-in role admin", () => {
  const admins = async (token: string, path: string) =>
    (await api.expect(200, 'GET', `${path}?name=admin`, { token })).body.roles[0]

  it('cannot be deleted', async () => {
    const { owner, path } = await place('domain')
    const role = await admins(owner.token, path)
    const answer = await api.call('DELETE', `${path}/${role.id}`, { token: owner.token })
    expect([answer.status, answer.body.error]).toEqual([400, 'built_in_role'])
  })

  it('keeps its last member, against superadmins too', async () => {
    const { owner, path } = await place('domain')
    const role = await admins(owner.token, path)
    const root = await api.signIn(ADMIN.username, ADMIN.password)
    for (const { token } of [owner, root]) {
      for (const [method, tail, body] of [
        ['POST', `/${role.id}/members/delete`, { members: [owner.id] }],
        ['POST', `/${role.id}/members/delete-all`, undefined],
        ['DELETE', '', { member_ids: [owner.id] }],
      ] as const) {
        const answer = await api.call(method, path + tail, { token, body })
        expect([answer.status, answer.body.error]).toEqual([400, 'last_admin'])
      }
    }
    await api.expect(200, 'GET', path, { token: owner.token })
  })

  it('keeps one of two whom two requests would remove at once', async () => {
    const { owner, path } = await place('domain')
    const role = await admins(owner.token, path)
    const second = await api.given.person()
    const root = await api.signIn(ADMIN.username, ADMIN.password)
    for (let round = 0; round < 5; round++) {
      await api.expect(200, 'POST', `${path}/${role.id}/members`, {
        token: root.token,
        body: { members: [owner.id, second.id] },
      })
      const removals = [owner, second].map((person) =>
        api.call('POST', `${path}/${role.id}/members/delete`, {
          token: root.token,
          body: { members: [person.id] },
        }),
      )
      const statuses = (await Promise.all(removals)).map((answer) => answer.status).sort((a, b) => a - b)
      expect(statuses).toEqual([204, 400])
      const { body } = await api.expect(200, 'GET', `${path}/${role.id}/members`, { token: root.token })
      expect(body.total).toBe(1)
    }
  })
})

describe('the members of an entity', () => {
  it('are all who have access, each with where it comes from', async () => {
    const owner = await api.given.person()
    const { token } = owner
    const domain = await api.given.domain(token)
    const make = async (kind: string, body: Record<string, unknown>) =>
      (await api.expect(201, 'POST', `/${domain.id}/${kind}`, { token, body: { name: 'x', ...body } })).body
    const top = await make('groups', {})
    const parent = await make('groups', { parent_id: top.id })
    const client = await make('clients', { parent_group_id: parent.id })
    const beside = await make('groups', {})
    const member = () => memberOf({ owner, domain })
    const give = async (path: string, action: string, person: Person) =>
      makeRole(token, `/${domain.id}/${path}/roles`, action, [action], [person.id])
    const [direct, near, far, nothing, elsewhere] = [
      await member(),
      await member(),
      await member(),
      await member(),
      await member(),
    ]
    const directRole = await give(`clients/${client.id}`, 'read', direct)
    const nearRole = await give(`groups/${parent.id}`, 'client_read', near)
    const farRole = await give(`groups/${top.id}`, 'subgroup_client_update', far)
    // None of these reaches a client below.
    await give(`groups/${parent.id}`, 'read', nothing)
    await give(`groups/${beside.id}`, 'client_read', elsewhere)
    const members = async (query = '') =>
      (await api.expect(200, 'GET', `/${domain.id}/clients/${client.id}/roles/members?${query}`, { token }))
        .body
    const of = (page: { members: { member_id: string; roles: unknown[] }[] }, person: Person) =>
      page.members.find((one) => one.member_id === person.id)?.roles

    const all = await members()
    expect(all).toMatchObject({ total: 4, offset: 0, limit: 10 })
    expect(of(all, direct)).toEqual([
      { role_id: directRole.id, role_name: 'read', actions: ['read'], access_type: 'direct' },
    ])
    expect(of(all, near)).toMatchObject([
      {
        role_id: nearRole.id,
        access_type: 'direct_group',
        access_provider_id: parent.id,
        access_provider_path: `${top.id}.${parent.id}`,
      },
    ])
    expect(of(all, far)).toMatchObject([
      {
        role_id: farRole.id,
        access_type: 'indirect_group',
        access_provider_id: top.id,
        access_provider_path: top.id,
      },
    ])
    expect(of(all, owner)).toMatchObject([
      { access_type: 'direct' },
      { access_type: 'direct_group', access_provider_id: parent.id },
      { access_type: 'domain', access_provider_id: domain.id },
      { access_type: 'indirect_group', access_provider_id: top.id },
    ])

    const ids = async (query: string) =>
      (await members(query)).members.map((m: { member_id: string }) => m.member_id)
    expect(await ids('access_type=indirect_group&role_name=subgroup_client_update')).toEqual([far.id])
    expect(await ids(`role_id=${nearRole.id}`)).toEqual([near.id])
    expect(await ids(`access_provider_id=${domain.id}`)).toEqual([owner.id])
    expect(await ids('actions=client_read&access_type=direct_group')).toEqual([near.id, owner.id].sort())
    const ordered = [owner.id, direct.id, near.id, far.id].sort()
    expect(await ids('order_by=member_id&dir=asc')).toEqual(ordered)
    expect(await ids('dir=desc')).toEqual([...ordered].reverse())
    expect(await members('limit=1&offset=3')).toMatchObject({
      total: 4,
      members: [{ member_id: ordered[3] }],
    })
    expect(await members('offset=9')).toMatchObject({ total: 4, members: [] })
    expect((await api.call('GET', `/domains/${domain.id}/roles/members?order=odd`, { token })).status).toBe(
      400,
    )
  })
})
