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

/** A domain with a role to invite people into, and somebody to invite. */
async function given() {
  const [owner, invitee] = [await api.given.person(), await api.given.person()]
  const domain = await api.given.domain(owner.token, { name: 'Plant' })
  const { body: role } = await api.expect(201, 'POST', `/domains/${domain.id}/roles`, {
    token: owner.token,
    body: { role_name: 'readers', optional_actions: ['read', 'client_read'] },
  })
  const invitation = { invitee_user_id: invitee.id, role_id: role.id }
  return {
    owner,
    invitee,
    domain,
    role,
    path: `/domains/${domain.id}/invitations`,
    send: (more: Record<string, unknown> = {}, token = owner.token) =>
      api.call('POST', `/domains/${domain.id}/invitations`, { token, body: { ...invitation, ...more } }),
    answer: (verb: 'accept' | 'reject', token = invitee.token) =>
      api.call('POST', `/invitations/${verb}`, { token, body: { domain_id: domain.id } }),
    expire: () =>
      gateway.ground.query('update invitations set expires_at = now() where domain_id = $1', [domain.id]),
  }
}

describe('an invitation', () => {
  it('gives the role it names once it is accepted, and nothing before', async () => {
    const { owner, invitee, domain, role, path, send, answer } = await given()
    const sent = await send()
    expect([sent.status, sent.text]).toEqual([201, ''])
    expect((await api.call('GET', `/domains/${domain.id}`, { token: invitee.token })).status).toBe(403)
    const { body: own } = await api.expect(200, 'GET', '/invitations', { token: invitee.token })
    expect(own).toMatchObject({
      total: 1,
      invitations: [
        {
          invited_by: owner.id,
          invitee_user_id: invitee.id,
          domain_id: domain.id,
          domain_name: 'Plant',
          role_id: role.id,
          role_name: 'readers',
          actions: ['client_read', 'read'],
        },
      ],
    })
    expect(own.invitations[0]).not.toHaveProperty('confirmed_at')
    expect((await answer('accept')).status).toBe(204)
    const { body: seen } = await api.expect(200, 'GET', `/domains/${domain.id}`, { token: invitee.token })
    expect(seen).toMatchObject({ role_id: role.id, role_name: 'readers', actions: ['client_read', 'read'] })
    const { body: one } = await api.expect(200, 'GET', `${path}/${invitee.id}`, { token: owner.token })
    expect(one.confirmed_at).toBeDefined()
    const { rows } = await gateway.ground.query(
      `select operation from journal where entity_id = $1 and operation ~ 'invitation|members' order by seq`,
      [domain.id],
    )
    expect(rows.map((row) => row['operation'])).toEqual([
      'invitation.send',
      'domain.role.members.add',
      'invitation.accept',
    ])
  })

  it('is answered once', async () => {
    const first = await given()
    await first.send()
    expect((await first.answer('reject')).status).toBe(204)
    expect((await first.answer('accept')).body.message).toBe('invitation already rejected')
    const second = await given()
    await second.send()
    expect((await second.answer('accept')).status).toBe(204)
    const again = await second.answer('accept')
    expect([again.status, again.body.message]).toEqual([409, 'invitation already accepted'])
    expect((await second.answer('reject')).status).toBe(409)
  })

  it('is accepted by one of many requests at once', async () => {
    const { send, answer } = await given()
    await send()
    const answers = await Promise.all(Array.from({ length: 20 }, () => answer('accept')))
    expect(answers.map((one) => one.status).sort((a, b) => a - b)).toEqual([
      204,
      ...Array.from({ length: 19 }, () => 409),
    ])
  })

  it('is the only one for a user and a domain, also when fifty are sent at once', async () => {
    const { send } = await given()
    const answers = await Promise.all(Array.from({ length: 50 }, () => send()))
    expect(answers.map((one) => one.status).sort((a, b) => a - b)).toEqual([
      201,
      ...Array.from({ length: 49 }, () => 409),
    ])
    expect((await send({ resend: true })).body.error).toBe('already_invited')
  })

  it('is sent again to somebody who turned it down only when that is said', async () => {
    const { invitee, send, answer } = await given()
    await send()
    await answer('reject')
    expect((await send()).status).toBe(409)
    expect((await send({ resend: true })).status).toBe(201)
    const { body } = await api.expect(200, 'GET', '/invitations?state=pending', { token: invitee.token })
    expect(body.total).toBe(1)
    expect((await answer('accept')).status).toBe(204)
    const member = await send({ resend: true })
    expect([member.status, member.body.error]).toEqual([409, 'already_member'])
  })

  it('is over after seven days, as if it had never been, and another can be sent', async () => {
    const { owner, invitee, path, send, answer, expire } = await given()
    await send()
    const { rows } = await gateway.ground.query(
      `select expires_at - created_at between '6 days 23 hours' and '7 days 1 hour' as is_week from invitations
        where invitee_id = $1`,
      [invitee.id],
    )
    expect(rows).toEqual([{ is_week: true }])
    await expire()
    expect((await answer('accept')).status).toBe(404)
    expect((await answer('reject')).status).toBe(404)
    expect((await api.call('GET', `${path}/${invitee.id}`, { token: owner.token })).status).toBe(404)
    expect((await api.expect(200, 'GET', path, { token: owner.token })).body.total).toBe(0)
    expect((await send()).status).toBe(201)
    expect((await answer('accept')).status).toBe(204)
  })

  it('goes with its role', async () => {
    const { owner, domain, role, send, answer } = await given()
    await send()
    await api.expect(204, 'DELETE', `/domains/${domain.id}/roles/${role.id}`, { token: owner.token })
    expect((await answer('accept')).status).toBe(404)
  })

  it('names a role of its domain, and somebody who is there', async () => {
    const { owner, send } = await given()
    const other = await api.given.domain(owner.token)
    const { body } = await api.expect(200, 'GET', `/domains/${other.id}/roles`, { token: owner.token })
    expect((await send({ role_id: body.roles[0].id })).status).toBe(404)
    const nobody = await send({ invitee_user_id: randomUUID() })
    expect([nobody.status, nobody.body.error]).toEqual([400, 'unknown_user'])
    expect((await send({ role_id: undefined })).body.message).toContain('role_id:')
    expect((await send({ invitee_user_id: 'x' })).body.message).toContain('invitee_user_id:')
  })

  it('is sent by members of the role admin and superadmins alone', async () => {
    const { owner, domain, role, send } = await given()
    const manager = await api.given.person()
    await api.expect(201, 'POST', `/domains/${domain.id}/roles`, {
      token: owner.token,
      body: { role_name: 'managers', optional_actions: ['manage_role'], optional_members: [manager.id] },
    })
    expect((await send({}, manager.token)).status).toBe(403)
    expect((await send({}, (await api.given.person()).token)).status).toBe(403)
    const root = await api.signIn(ADMIN.username, ADMIN.password)
    expect((await send({ role_id: role.id }, root.token)).status).toBe(201)
  })

  it('is taken away by invitee, inviter or who manages roles, in both forms', async () => {
    const { owner, invitee, domain, path, send, answer } = await given()
    const [stranger, manager] = [await api.given.person(), await api.given.person()]
    await api.expect(201, 'POST', `/domains/${domain.id}/roles`, {
      token: owner.token,
      body: { role_name: 'managers', optional_actions: ['manage_role'], optional_members: [manager.id] },
    })
    await send()
    expect((await api.call('DELETE', `${path}/${invitee.id}`, { token: stranger.token })).status).toBe(403)
    for (const { token } of [invitee, owner, manager]) {
      await api.expect(204, 'DELETE', path, { token, body: { user_id: invitee.id } })
      expect((await answer('accept')).status).toBe(404)
      expect((await api.call('DELETE', `${path}/${invitee.id}`, { token })).status).toBe(404)
      await send()
      await api.expect(204, 'DELETE', `${path}/${invitee.id}`, { token })
      await send()
    }
  })

  it('is shown to the invitee and to who manages roles; others cannot tell whether there is one', async () => {
    const { owner, invitee, path, send } = await given()
    const [stranger, other] = [await api.given.person(), await api.given.person()]
    await send()
    const { body } = await api.expect(200, 'GET', `${path}/${invitee.id}`, { token: invitee.token })
    expect(body.invitee_user_id).toBe(invitee.id)
    await api.expect(200, 'GET', `${path}/${invitee.id}`, { token: owner.token })
    const refused = await api.call('GET', `${path}/${invitee.id}`, { token: stranger.token })
    const absent = await api.call('GET', `${path}/${other.id}`, { token: stranger.token })
    const nowhere = await api.call('GET', `/domains/${randomUUID()}/invitations/${invitee.id}`, {
      token: stranger.token,
    })
    const unknownRoute = await api.call('GET', `/domains/no-such/invitations/${invitee.id}`, {
      token: stranger.token,
    })
    for (const answer of [absent, nowhere, unknownRoute]) {
      expect([answer.status, answer.text]).toEqual([403, refused.text])
    }
    // To oneself: no invitation is no invitation, wherever.
    const own = await api.call('GET', `${path}/${stranger.id}`, { token: stranger.token })
    const away = await api.call('GET', `/domains/no-such/invitations/${stranger.id}`, {
      token: stranger.token,
    })
    expect([own.status, own.text]).toEqual([404, away.text])
  })

  it('cannot be accepted while the domain is shut, but turned down', async () => {
    const { owner, domain, send, answer } = await given()
    await send()
    await api.expect(200, 'POST', `/domains/${domain.id}/disable`, { token: owner.token })
    expect((await answer('accept')).status).toBe(403)
    expect((await answer('reject')).status).toBe(204)
  })
})

describe('lists of invitations', () => {
  it('are filtered by state, role, invitee and inviter, and paged', async () => {
    const { owner, invitee, domain, role, path, send, answer } = await given()
    await send()
    const more = [await api.given.person(), await api.given.person()]
    for (const person of more) await send({ invitee_user_id: person.id })
    await answer('accept')
    await answer('reject', more[0]?.token)
    const total = async (query: string) =>
      (await api.expect(200, 'GET', `${path}?${query}`, { token: owner.token })).body.total
    expect(await total('')).toBe(3)
    expect(await total('state=all')).toBe(3)
    expect(await total('state=pending')).toBe(1)
    expect(await total('state=accepted')).toBe(1)
    expect(await total('state=rejected')).toBe(1)
    expect(await total(`role_id=${role.id}`)).toBe(3)
    expect(await total('role_id=other')).toBe(0)
    expect(await total(`invited_by=${owner.id}&user_id=${invitee.id}`)).toBe(1)
    expect(await total(`invitee_user_id=${owner.id}`)).toBe(0)
    const { body: page } = await api.expect(200, 'GET', `${path}?limit=2&offset=2`, { token: owner.token })
    expect([page.offset, page.limit, page.invitations.length]).toEqual([2, 2, 1])
    expect((await api.call('GET', `${path}?state=odd`, { token: owner.token })).status).toBe(400)
    expect((await api.call('GET', path, { token: invitee.token })).status).toBe(403)
    const own = await api.expect(200, 'GET', `/invitations?domain_id=${domain.id}&state=accepted`, {
      token: invitee.token,
    })
    expect(own.body.total).toBe(1)
    const elsewhere = await api.expect(200, 'GET', `/invitations?domain_id=${randomUUID()}`, {
      token: invitee.token,
    })
    expect(elsewhere.body).toMatchObject({ total: 0, invitations: [] })
  })
})
