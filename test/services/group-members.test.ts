import { randomUUID } from 'node:crypto'
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

/** A domain with a group and a client in it, and somebody who was never invited. */
async function given() {
  const [owner, person] = [await api.given.person(), await api.given.person()]
  const domain = await api.given.domain(owner.token)
  const { body: group } = await api.expect(201, 'POST', `/${domain.id}/groups`, {
    token: owner.token,
    body: { name: 'Hall' },
  })
  const client = await api.given.client(owner.token, domain.id, { parent_group_id: group.id })
  return {
    owner,
    person,
    domain,
    group,
    client,
    assign: (actions: readonly string[], token = owner.token, subject = person.id) =>
      api.call('POST', '/users/policies', { token, body: { subject, object: group.id, actions } }),
    remove: (token = owner.token) =>
      api.call('DELETE', `/users/policies/${person.id}/${group.id}`, { token }),
    members: async (token = owner.token, query = '') =>
      (await api.expect(200, 'GET', `/${domain.id}/groups/${group.id}/members?${query}`, { token })).body,
  }
}

describe('a user assigned to a group', () => {
  it('holds what the words mean, and is let into the domain with nothing else', async () => {
    const { owner, person, domain, group, client, assign } = await given()
    const answer = await assign(['g_list', 'c_list'])
    expect([answer.status, answer.text]).toEqual([201, ''])
    await api.expect(200, 'GET', `/${domain.id}/groups/${group.id}`, { token: person.token })
    await api.expect(200, 'GET', `/${domain.id}/clients/${client.id}`, { token: person.token })
    const { body: seen } = await api.expect(200, 'GET', `/domains/${domain.id}`, { token: person.token })
    expect(seen).toMatchObject({ role_name: 'member', actions: ['read'] })
    const { body: roles } = await api.expect(200, 'GET', `/${domain.id}/groups/${group.id}/roles?name=list`, {
      token: owner.token,
    })
    expect(roles.roles).toMatchObject([
      { name: 'c_list,g_list', actions: ['channel_read', 'client_read', 'read', 'view_role_users'] },
    ])
  })

  it('changes role when assigned again, and keeps the role that the domain gave', async () => {
    const { owner, person, domain, group, assign } = await given()
    await api.expect(201, 'POST', `/domains/${domain.id}/roles`, {
      token: owner.token,
      body: { role_name: 'own', optional_members: [person.id] },
    })
    expect((await assign(['g_list'])).status).toBe(201)
    expect((await assign(['g_list'])).status).toBe(201)
    expect((await assign(['g_update', 'g_update'])).status).toBe(201)
    expect((await api.call('GET', `/${domain.id}/groups/${group.id}`, { token: person.token })).status).toBe(
      403,
    )
    const { body } = await api.expect(200, 'GET', `/domains/${domain.id}`, { token: person.token })
    expect(body.role_name).toBe('own')
  })

  it('is out of every role when taken out', async () => {
    const { person, domain, group, assign, remove } = await given()
    await assign(['g_list'])
    expect((await remove()).status).toBe(204)
    expect((await remove()).status).toBe(204)
    expect((await api.call('GET', `/${domain.id}/groups/${group.id}`, { token: person.token })).status).toBe(
      403,
    )
  })

  it('is let in by no role member that holds more than reading', async () => {
    const { owner, domain, assign } = await given()
    await api.expect(201, 'POST', `/domains/${domain.id}/roles`, {
      token: owner.token,
      body: { role_name: 'member', optional_actions: ['read', 'delete'] },
    })
    const answer = await assign(['g_list'])
    expect([answer.status, answer.body.error]).toEqual([409, 'member_role_differs'])
  })

  it('is assigned and taken out by those alone who may make roles and add members', async () => {
    const { owner, domain, group, assign, remove } = await given()
    const helper = await api.given.person()
    expect((await assign(['g_list'], helper.token)).status).toBe(403)
    await assign(['g_list'], owner.token, helper.id)
    expect((await assign(['g_list'], helper.token)).status).toBe(403)
    expect((await remove(helper.token)).status).toBe(403)
    await assign(['g_share'], owner.token, helper.id)
    expect((await assign(['g_list'], helper.token)).status).toBe(201)
    expect((await remove(helper.token)).status).toBe(204)
    await api.expect(200, 'POST', `/domains/${domain.id}/disable`, { token: owner.token })
    expect((await assign(['g_list'], helper.token)).status).toBe(403)
    expect((await api.call('GET', `/${domain.id}/groups/${group.id}`, { token: owner.token })).status).toBe(
      200,
    )
  })

  it.each([
    ['an unknown word', { actions: ['fly'] }],
    ['no words', { actions: [] }],
    ['nobody', { subject: randomUUID() }],
    ['no id', { object: 'x' }],
  ])('cannot be %s: 400', async (_what, change) => {
    const { owner, person, group } = await given()
    const body = { subject: person.id, object: group.id, actions: ['g_list'], ...change }
    expect((await api.call('POST', '/users/policies', { token: owner.token, body })).status).toBe(400)
  })
})

describe('the members of a group', () => {
  it('are those with a role on it, with the e-mail of oneself, or of all to superadmins', async () => {
    const { owner, person, group, domain, assign, members } = await given()
    await assign(['g_list'])
    const identities = async (token: string) =>
      Object.fromEntries(
        (await members(token)).members.map((m: { id: string; credentials: { identity: string } }) => [
          m.id,
          m.credentials.identity,
        ]),
      )
    const mail = (one: Person) => `${one.username}@example.com`
    expect(await identities(owner.token)).toEqual({ [owner.id]: mail(owner), [person.id]: '' })
    expect(await identities(person.token)).toEqual({ [owner.id]: '', [person.id]: mail(person) })
    const root = await api.signIn(ADMIN.username, ADMIN.password)
    expect(await identities(root.token)).toEqual({ [owner.id]: mail(owner), [person.id]: mail(person) })
    const body = await members()
    expect(body).toMatchObject({ total: 2, offset: 0, limit: 10 })
    expect(body.members[0]).toMatchObject({
      name: 'Ada Byron',
      first_name: 'Ada',
      last_name: 'Byron',
      status: 'enabled',
    })
    const total = async (query: string) => (await members(owner.token, query)).total
    expect(await total('name=da+by')).toBe(2)
    expect(await total('name=charles')).toBe(0)
    expect(await total(`identity=${person.username}`)).toBe(1)
    expect(await total(`identity=${encodeURIComponent(mail(owner))}`)).toBe(1)
    // An e-mail that one may not see finds nobody, or one could guess.
    expect(await total(`identity=${encodeURIComponent(mail(person))}`)).toBe(0)
    expect(await total('status=disabled')).toBe(0)
    const stranger = await api.given.person()
    const path = `/${domain.id}/groups/${group.id}/members`
    expect((await api.call('GET', path, { token: stranger.token })).status).toBe(403)
    expect((await api.call('GET', path.replace(group.id, randomUUID()), { token: owner.token })).status).toBe(
      404,
    )
  })
})

describe('a member of a group who is deleted', () => {
  it('is shown to superadmins who ask for the deleted, and to nobody else', async () => {
    const { owner, person, assign, members } = await given()
    const root = (await api.signIn(ADMIN.username, ADMIN.password)).token
    await assign(['g_list'])
    const ids = async (token: string, query = '') =>
      (await members(token, query)).members.map((one: { id: string }) => one.id).sort()
    const both = [owner.id, person.id].sort()
    expect(await ids(owner.token)).toEqual(both)
    await api.expect(200, 'DELETE', `/users/${person.id}`, { token: person.token })
    for (const query of ['', 'status=all']) expect(await ids(owner.token, query)).toEqual([owner.id])
    expect(await ids(owner.token, 'status=deleted')).toEqual([])
    expect(await ids(root, 'status=deleted')).toEqual([person.id])
    expect(await ids(root)).toEqual([owner.id])
  })
})

describe('the memberships of a user', () => {
  it('are the groups on which the user has a role, as far as the caller may know', async () => {
    const { owner, person, group, domain, assign } = await given()
    await assign(['g_list'])
    const ids = async (token: string, query = '') =>
      (
        await api.expect(200, 'GET', `/users/${person.id}/memberships?${query}`, { token })
      ).body.memberships.map((one: { id: string }) => one.id)
    const root = await api.signIn(ADMIN.username, ADMIN.password)
    const stranger = await api.given.person()
    expect(await ids(person.token)).toEqual([group.id])
    expect(await ids(owner.token)).toEqual([group.id])
    expect(await ids(root.token)).toEqual([group.id])
    expect(await ids(stranger.token)).toEqual([])
    expect(await ids(person.token, 'name=hall')).toEqual([group.id])
    expect(await ids(person.token, 'name=other')).toEqual([])
    expect(await ids(person.token, `parentID=${group.id}`)).toEqual([])
    await api.expect(200, 'POST', `/domains/${domain.id}/disable`, { token: owner.token })
    expect(await ids(person.token)).toEqual([])
    expect(await ids(owner.token)).toEqual([group.id])
  })

  it('stand under each other where a tree is asked for, as far as they are on the page', async () => {
    const { owner, domain, group } = await given()
    const below = async (parent_id: string, name: string) =>
      (
        await api.expect(201, 'POST', `/${domain.id}/groups`, {
          token: owner.token,
          body: { name, parent_id },
        })
      ).body.id as string
    const room = await below(group.id, 'Room')
    const shelf = await below(room, 'Shelf')
    const ask = async (query: string) =>
      (await api.expect(200, 'GET', `/users/${owner.id}/memberships?${query}`, { token: owner.token })).body
    const tree = await ask('tree=true&order=name&dir=asc')
    expect(tree).toMatchObject({
      total: 3,
      memberships: [
        {
          id: group.id,
          level: 1,
          children: [{ id: room, children: [{ id: shelf, level: 3, children: [] }] }],
        },
      ],
    })
    expect(tree.memberships).toHaveLength(1)
    const flat = await ask('order=name&dir=asc')
    expect(flat.memberships.map((one: { id: string }) => one.id)).toEqual([group.id, room, shelf])
    expect(flat.memberships[0]).not.toHaveProperty('children')
  })
})
