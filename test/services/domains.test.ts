import { connectAsync } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { ADMIN, startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

let gateway: TestGateway
let api: Api
let root: string
beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
  root = (await api.signIn(ADMIN.username, ADMIN.password)).token
})
afterAll(() => gateway.stop())

/** A domain with its admin, and a member who may read it. */
async function given() {
  const [owner, member] = [await api.given.person(), await api.given.person()]
  const domain = await api.given.domain(owner.token, { name: 'Plant', tags: ['a'], metadata: { x: 1 } })
  const path = `/domains/${domain.id}`
  const { body: role } = await api.expect(201, 'POST', `${path}/roles`, {
    token: owner.token,
    body: {
      role_name: 'readers',
      optional_actions: ['read', 'client_read', 'update'],
      optional_members: [member.id],
    },
  })
  return { owner, member, domain, path, role }
}

const status = async (method: string, path: string, token: string, body?: unknown) =>
  (await api.call(method, path, { token, body })).status

describe('a domain', () => {
  it('is changed by those who hold update, absent and empty fields staying', async () => {
    const { owner, member, path } = await given()
    const { body } = await api.expect(200, 'PATCH', path, { token: member.token, body: { name: 'Mill' } })
    expect(body).toMatchObject({ name: 'Mill', tags: ['a'], metadata: { x: 1 }, updated_by: member.id })
    // What Go sends: the whole domain, with empty values for what it does not mean.
    const { body: again } = await api.expect(200, 'PATCH', path, {
      token: owner.token,
      body: {
        id: '',
        name: '',
        route: '',
        tags: ['b'],
        metadata: { y: 2 },
        created_at: '0001-01-01T00:00:00Z',
      },
    })
    expect(again).toMatchObject({ name: 'Mill', tags: ['b'], metadata: { y: 2 }, updated_by: owner.id })
    const stranger = await api.given.person()
    expect(await status('PATCH', path, stranger.token, { name: 'Mine' })).toBe(403)
    expect(await status('PATCH', path, owner.token, { metadata: [] })).toBe(400)
  })

  it('shows with roles=true the caller and the role through which it is seen', async () => {
    const { member, path, role } = await given()
    const { body } = await api.expect(200, 'GET', `${path}?x=1?roles=true`, { token: member.token })
    expect(body).toMatchObject({
      role_name: 'readers',
      member_id: member.id,
      roles: [{ role_id: role.id, role_name: 'readers', actions: role.actions, access_type: 'direct' }],
    })
    const { body: plain } = await api.expect(200, 'GET', path, { token: member.token })
    expect(plain).not.toHaveProperty('roles')
    const { body: byRoot } = await api.expect(200, 'GET', `${path}?roles=true`, { token: root })
    expect(byRoot.roles).toEqual([])
  })

  it('is told apart from none by nobody outside', async () => {
    const { owner } = await given()
    const { route } = await api.given.domain(owner.token, { route: 'closed-to-you' })
    const stranger = await api.given.person()
    for (const [method, tail] of [
      ['GET', ''],
      ['PATCH', ''],
      ['DELETE', ''],
      ['POST', '/enable'],
      ['POST', '/disable'],
      ['POST', '/freeze'],
      ['GET', '/roles'],
      ['GET', '/invitations'],
    ] as const) {
      const there = await api.call(method, `/domains/${route}${tail}`, { token: stranger.token })
      for (const absent of ['00000000-0000-4000-8000-000000000000', 'no-such-route']) {
        const none = await api.call(method, `/domains/${absent}${tail}`, { token: stranger.token })
        expect([method, tail, none.status, none.text]).toEqual([method, tail, 403, there.text])
      }
    }
  })

  it('is listed by what the caller holds in it', async () => {
    const { owner, member, domain, role } = await given()
    const ids = async (token: string, query: string) =>
      (await api.expect(200, 'GET', `/domains?id=${domain.id}&${query}`, { token })).body.domains.map(
        (one: { id: string }) => one.id,
      )
    expect(await ids(member.token, `role_id=${role.id}`)).toEqual([domain.id])
    expect(await ids(owner.token, `role_id=${role.id}`)).toEqual([])
    expect(await ids(owner.token, 'role_name=admin')).toEqual([domain.id])
    expect(await ids(member.token, 'actions=read,client_read')).toEqual([domain.id])
    expect(await ids(member.token, 'actions=read,delete')).toEqual([])
    expect(await ids(owner.token, 'actions=read,delete')).toEqual([domain.id])
    expect(await ids(owner.token, 'tags=a&metadata={"x":1}&name=pLA')).toEqual([domain.id])
    expect(await ids(owner.token, `route=${domain.route}`)).toEqual([domain.id])
    expect(await ids(owner.token, 'created_from=2100-01-01T00:00:00Z')).toEqual([])
  })

  it('that is disabled lets in its admins and superadmins alone', async () => {
    const { owner, member, domain, path } = await given()
    const { body } = await api.expect(200, 'POST', `${path}/disable`, { token: owner.token })
    expect(body.status).toBe('disabled')
    expect(await status('POST', `${path}/disable`, owner.token)).toBe(409)
    for (const [token, expected] of [
      [owner.token, 200],
      [root, 200],
      [member.token, 403],
    ] as const) {
      expect(await status('GET', path, token)).toBe(expected)
      expect(await status('GET', `/${domain.id}/clients`, token)).toBe(expected)
      const { body: list } = await api.expect(200, 'GET', `/domains?status=all&id=${domain.id}`, { token })
      expect(list.total).toBe(expected === 200 ? 1 : 0)
    }
    expect(await status('POST', `${path}/enable`, member.token)).toBe(403)
    const { body: open } = await api.expect(200, 'POST', `${path}/enable`, { token: owner.token })
    expect(open.status).toBe('enabled')
    expect(await status('POST', `${path}/enable`, owner.token)).toBe(409)
    expect(await status('GET', path, member.token)).toBe(200)
  })

  it('is frozen by superadmins alone, who alone get in then', async () => {
    const { owner, member, domain, path } = await given()
    expect(await status('POST', `${path}/freeze`, owner.token)).toBe(403)
    const { body } = await api.expect(200, 'POST', `${path}/freeze`, { token: root })
    expect(body.status).toBe('freezed')
    expect(await status('POST', `${path}/freeze`, root)).toBe(409)
    for (const { token } of [owner, member]) {
      expect(await status('GET', path, token)).toBe(403)
      expect(await status('POST', `${path}/enable`, token)).toBe(403)
      expect(await status('GET', `/${domain.id}/clients`, token)).toBe(403)
    }
    const { body: frozen } = await api.expect(200, 'GET', `/domains?status=frozen&id=${domain.id}`, {
      token: root,
    })
    expect(frozen.total).toBe(1)
    await api.expect(200, 'POST', `${path}/enable`, { token: root })
    expect(await status('GET', path, owner.token)).toBe(200)
  })

  it('that is deleted is nobody’s, and its route is free', async () => {
    const { owner, member, domain, path, role } = await given()
    const invitee = await api.given.person()
    await api.expect(201, 'POST', `${path}/invitations`, {
      token: owner.token,
      body: { invitee_user_id: invitee.id, role_id: role.id },
    })
    const other = await api.given.domain(owner.token, { route: 'taken-once' })
    expect(await status('DELETE', path, member.token)).toBe(403)
    await api.expect(204, 'DELETE', path, { token: owner.token })
    for (const { token } of [owner, member]) {
      expect(await status('GET', path, token)).toBe(403)
      expect(await status('GET', `/${domain.id}/clients`, token)).toBe(403)
      const { body: list } = await api.expect(200, 'GET', `/domains?status=all&id=${domain.id}`, { token })
      expect(list.total).toBe(0)
    }
    expect(await status('GET', path, root)).toBe(404)
    expect(await status('DELETE', path, root)).toBe(404)
    const { body } = await api.expect(200, 'GET', '/invitations', { token: invitee.token })
    expect(body.total).toBe(0)
    expect(await status('POST', '/invitations/accept', invitee.token, { domain_id: domain.id })).toBe(404)
    await api.expect(204, 'DELETE', `/domains/${other.id}`, { token: owner.token })
    await api.given.domain(member.token, { route: 'taken-once' })
  })

  it('is opened or shut by one of many requests at once', async () => {
    const { owner, path } = await given()
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => api.call('POST', `${path}/disable`, { token: owner.token })),
    )
    expect(answers.map((answer) => answer.status).sort((a, b) => a - b)).toEqual([
      200,
      ...Array.from({ length: 19 }, () => 409),
    ])
  })
})

describe('devices of a domain', () => {
  it.each(['disable', 'freeze', 'delete'] as const)(
    'are cut off at once when it is shut: %s',
    async (verb) => {
      const site = await api.given.site()
      const mqtt = await connectAsync(gateway.mqttUrl, {
        username: site.client.id,
        password: site.secret,
        reconnectPeriod: 0,
      })
      let isMqttClosed = false
      mqtt.on('close', () => (isMqttClosed = true))
      // Being cut off is what this is about.
      mqtt.on('error', () => undefined)
      await mqtt.subscribeAsync(site.topic)
      const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/${site.topic}`, {
        headers: { authorization: site.auth },
      })
      const closed = new Promise<number>((resolve) => socket.on('close', resolve))
      await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject))
      const publish = () => api.call('POST', `/${site.topic}`, { auth: site.auth, body: [{ n: 'a', v: 1 }] })
      const publishAsUser = () =>
        api.call('POST', `/${site.topic}`, { token: site.token, body: [{ n: 'a', v: 1 }] })
      expect((await publish()).status).toBe(202)
      expect((await publishAsUser()).status).toBe(202)

      const path = `/domains/${site.domain.id}`
      if (verb === 'delete') await api.expect(204, 'DELETE', path, { token: site.token })
      else await api.expect(200, 'POST', `${path}/${verb}`, { token: verb === 'freeze' ? root : site.token })

      await eventually('the MQTT session ends', () => isMqttClosed)
      expect(await closed).toBe(1008)
      await eventually('clients cannot publish', async () =>
        [401, 403, 404].includes((await publish()).status),
      )
      await eventually('users cannot publish', async () =>
        [403, 404].includes((await publishAsUser()).status),
      )
      const read = await api.call('GET', `/${site.domain.id}/channels/${site.channel.id}/messages`, {
        auth: site.auth,
      })
      expect([401, 403, 404]).toContain(read.status)
      if (verb === 'delete') return

      await api.expect(200, 'POST', `${path}/enable`, { token: root })
      await eventually('clients publish again', async () => (await publish()).status === 202)
    },
  )
})

describe('a member of a domain', () => {
  it('publishes and reads while a role says so, and not a moment longer', async () => {
    const site = await api.given.site()
    const member = await api.given.person()
    const roles = `/domains/${site.domain.id}/roles`
    const { body: role } = await api.expect(201, 'POST', roles, {
      token: site.token,
      body: { role_name: 'talkers', optional_members: [member.id] },
    })
    const publish = async () =>
      (await api.call('POST', `/${site.topic}`, { token: member.token, body: [{ n: 'a', v: 1 }] })).status
    const actions = { token: site.token, body: { actions: ['channel_publish'] } }
    const members = { token: site.token, body: { members: [member.id] } }
    const become = (status: number) =>
      eventually(`publishing answers ${status}`, async () => (await publish()) === status)

    expect(await publish()).toBe(403)
    await api.expect(200, 'POST', `${roles}/${role.id}/actions`, actions)
    await become(202)
    await api.expect(204, 'POST', `${roles}/${role.id}/actions/delete`, actions)
    await become(403)
    await api.expect(200, 'POST', `${roles}/${role.id}/actions`, actions)
    await become(202)
    await api.expect(204, 'POST', `${roles}/${role.id}/members/delete`, members)
    await become(403)
    await api.expect(200, 'POST', `${roles}/${role.id}/members`, members)
    await become(202)
    await api.expect(204, 'DELETE', `${roles}/${role.id}`, { token: site.token })
    await become(403)
  })
})
