import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Api, Person } from '../support/api.ts'
import { ADMIN, startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'
import { createRoleFixtures } from '../support/role-fixtures.ts'

let gateway: TestGateway
let api: Api
let given: ReturnType<typeof createRoleFixtures>
beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
  given = createRoleFixtures(api)
})
afterAll(() => gateway.stop())

describe('a member who is deleted', () => {
  it.each(['domain', 'group', 'client', 'channel'] as const)(
    'is in no list of members of a %s, and is again when brought back',
    async (type) => {
      const it = await given.place(type)
      const { token } = it.owner
      const root = (await api.signIn(ADMIN.username, ADMIN.password)).token
      const person = type === 'domain' ? await api.given.person() : await given.memberOf(it)
      const role = await given.role(token, it.path, 'r', ['read'], [person.id])
      const lists = async () => {
        const ofRole = await api.expect(200, 'GET', `${it.path}/${role.id}/members`, { token })
        const ofEntity = await api.expect(200, 'GET', `${it.path}/members?access_type=direct`, { token })
        const ids = ofEntity.body.members.map((member: { member_id: string }) => member.member_id)
        return { ofRole: ofRole.body, ofEntity: { total: ofEntity.body.total, ids: ids.sort() } }
      }
      const both = [it.owner.id, person.id].sort()
      const before = await lists()
      expect(before).toMatchObject({ ofRole: { members: [person.id] }, ofEntity: { total: 2, ids: both } })
      await api.expect(200, 'DELETE', `/users/${person.id}`, { token: person.token })
      expect(await lists()).toMatchObject({
        ofRole: { total: 0, members: [] },
        ofEntity: { total: 1, ids: [it.owner.id] },
      })
      await api.expect(200, 'POST', `/users/${person.id}/enable`, { token: root })
      expect(await lists()).toEqual(before)
    },
  )

  it('does not count as the admin that a domain keeps', async () => {
    const { owner, path } = await given.place('domain')
    const { token } = owner
    const { body } = await api.expect(200, 'GET', `${path}?name=admin`, { token })
    const person = await api.given.person()
    await api.expect(200, 'POST', `${path}/${body.roles[0].id}/members`, {
      token,
      body: { members: [person.id] },
    })
    await api.expect(200, 'DELETE', `/users/${person.id}`, { token: person.token })
    const leave = await api.call('DELETE', path, { token, body: { member_ids: [owner.id] } })
    expect(leave.status).toBe(400)
  })
})

describe('a role inside a domain', () => {
  it.each(['group', 'client', 'channel'] as const)(
    'on a %s takes members of the domain alone',
    async (type) => {
      const it = await given.place(type)
      const { token } = it.owner
      const stranger = await api.given.person()
      const role = await given.role(token, it.path, 'r', ['read'])
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
    const { owner, domain, path } = await given.place('client')
    const { token } = owner
    const domainPath = `/domains/${domain.id}/roles`
    const clientRole = await given.role(token, path, 'r', ['read'])
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
      const role = await given.role(token, domainPath, `r${index}`, ['read'], [person.id])
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
    const { owner, domain, path } = await given.place('channel')
    const { token } = owner
    const role = await given.role(token, path, 'r', ['read'])
    for (let round = 0; round < 8; round++) {
      const person = await given.memberOf({ owner, domain })
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
    const { owner, path } = await given.place('domain')
    const role = await admins(owner.token, path)
    const answer = await api.call('DELETE', `${path}/${role.id}`, { token: owner.token })
    expect([answer.status, answer.body.error]).toEqual([400, 'built_in_role'])
  })

  it('keeps the actions that make an admin, against superadmins too; others it may give up', async () => {
    const { owner, path } = await given.place('domain')
    const role = await admins(owner.token, path)
    const root = await api.signIn(ADMIN.username, ADMIN.password)
    const remove = (token: string, ...actions: string[]) =>
      api.call('POST', `${path}/${role.id}/actions/delete`, { token, body: { actions } })
    for (const { token } of [owner, root]) {
      const answers = [
        await remove(token, 'manage_role'),
        await remove(token, 'client_read', 'enable'),
        await api.call('POST', `${path}/${role.id}/actions/delete-all`, { token }),
      ]
      for (const { status, body } of answers) expect([status, body.error]).toEqual([400, 'built_in_role'])
    }
    expect((await remove(owner.token, 'client_read')).status).toBe(204)
    const kept = role.actions.filter((action: string) => action !== 'client_read')
    expect((await admins(owner.token, path)).actions).toEqual(kept)
  })

  it('keeps its last member, against superadmins too', async () => {
    const { owner, path } = await given.place('domain')
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
    const { owner, path } = await given.place('domain')
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
    const member = () => given.memberOf({ owner, domain })
    const give = async (path: string, action: string, person: Person) =>
      given.role(token, `/${domain.id}/${path}/roles`, action, [action], [person.id])
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

    // Who sees clients in groups below a group sees nothing of those groups by that.
    const { body: ofParent } = await api.expect(
      200,
      'GET',
      `/${domain.id}/groups/${parent.id}/roles/members`,
      { token },
    )
    expect(of(ofParent, far)).toBeUndefined()
    expect(ofParent.total).toBe(3)

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
