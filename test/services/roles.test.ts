import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { startTestGateway } from '../support/gateway.ts'
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

describe.each(['domain', 'group', 'client', 'channel'] as const)('a role on a %s', (type) => {
  it('is made, read, renamed, listed and deleted', async () => {
    const it = await given.place(type)
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
    const role = await given.role(token, it.path, 'Readers', ['read', 'update'])
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
    const it = await given.place(type)
    const answers = await Promise.all(
      Array.from({ length: 50 }, () =>
        api.call('POST', it.path, { token: it.owner.token, body: { role_name: 'same' } }),
      ),
    )
    const statuses = answers.map((answer) => answer.status).sort((a, b) => a - b)
    expect(statuses).toEqual([201, ...Array.from({ length: 49 }, () => 409)])
    const role = await given.role(it.owner.token, it.path, 'other')
    const taken = await api.call('PUT', `${it.path}/${role.id}`, {
      token: it.owner.token,
      body: { name: 'same' },
    })
    expect([taken.status, taken.body.error]).toEqual([409, 'role_name_taken'])
  })

  it('takes actions and gives them up, those it holds or lacks already being no error', async () => {
    const it = await given.place(type)
    const { token } = it.owner
    const role = await given.role(token, it.path, 'r', ['read'])
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
    const it = await given.place(type)
    const { token } = it.owner
    const made = await api.call('POST', it.path, {
      token,
      body: { role_name: 'r', optional_actions: ['read', 'fly'] },
    })
    expect([made.status, made.body.error]).toEqual([400, 'unknown_action'])
    const role = await given.role(token, it.path, 'r')
    const added = await api.call('POST', `${it.path}/${role.id}/actions`, {
      token,
      body: { actions: ['read', 'fly'] },
    })
    expect([added.status, added.body.message]).toEqual([400, 'actions: unknown action fly'])
    const { body } = await api.expect(200, 'GET', `${it.path}/${role.id}/actions`, { token })
    expect(body.actions).toEqual([])
  })

  it('takes members, who may be in one role of the entity alone', async () => {
    const it = await given.place(type)
    const { token } = it.owner
    const person = type === 'domain' ? await api.given.person() : await given.memberOf(it)
    const role = await given.role(token, it.path, 'one', ['read'])
    const other = await given.role(token, it.path, 'two', ['read'])
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
    const it = await given.place(type)
    const role = await given.role(it.owner.token, it.path, 'one')
    const answer = await api.call('POST', `${it.path}/${role.id}/members`, {
      token: it.owner.token,
      body: { members: ['00000000-0000-4000-8000-000000000000'] },
    })
    expect([answer.status, answer.body.error]).toEqual([400, 'unknown_user'])
  })

  it('is nothing to an entity of the same type beside it: 404', async () => {
    const it = await given.place(type)
    const { token } = it.owner
    const beside =
      type === 'domain'
        ? `/domains/${(await api.given.domain(token)).id}`
        : `/${it.domain.id}/${type}s/${await given.entity(token, it.domain.id, type)}`
    const role = await given.role(token, it.path, 'r')
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
    const it = await given.place(type)
    const { token } = it.owner
    const role = await given.role(token, it.path, 'r')
    const weak = await given.role(token, it.path, 'weak', [])
    const person = type === 'domain' ? await api.given.person() : await given.memberOf(it)
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
    const it = await given.place(type)
    const { token } = it.owner
    const [maker, other] =
      type === 'domain'
        ? [await api.given.person(), await api.given.person()]
        : [await given.memberOf(it), await given.memberOf(it)]
    await given.role(token, it.path, 'makers', ['manage_role'], [maker.id])
    const body = { role_name: 'x', optional_members: [other.id] }
    expect((await api.call('POST', it.path, { token: maker.token, body })).status).toBe(403)
    const made = await api.expect(201, 'POST', it.path, { token, body })
    expect(made.body.optional_members).toEqual([other.id])
  })

  it('leaves an entry in the journal for every change', async () => {
    const it = await given.place(type)
    const { token } = it.owner
    const person = type === 'domain' ? await api.given.person() : await given.memberOf(it)
    const role = await given.role(token, it.path, 'r')
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
