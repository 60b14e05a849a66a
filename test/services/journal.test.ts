import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
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

const journalOf = async (token: string, path: string, query = '') =>
  (await api.expect(200, 'GET', `${path}${query}`, { token })).body

const operationsIn = (body: { journals: { operation: string }[] }) =>
  body.journals.map((entry) => entry.operation)

describe('the journal of an entity', () => {
  it('tells what was done to it, newest first, without attributes and metadata unless asked', async () => {
    const site = await api.given.site()
    const d = site.domain.id
    const path = `/${d}/journal/channel/${site.channel.id}`
    await api.expect(200, 'PATCH', `/${d}/channels/${site.channel.id}`, {
      token: site.token,
      body: { name: 'Water', metadata: { floor: 1 } },
    })
    const body = await journalOf(site.token, path)
    expect(body).toMatchObject({ total: 3, offset: 0, limit: 10 })
    expect(operationsIn(body)).toEqual(['channel.update', 'channel.connect', 'channel.create'])
    expect(Object.keys(body.journals[0]).sort()).toEqual(['domain', 'id', 'occurred_at', 'operation'])
    expect(body.journals[0].domain).toBe(d)

    const whole = await journalOf(site.token, path, '?with_attributes=true&with_metadata=true&dir=asc')
    expect(operationsIn(whole)[0]).toBe('channel.create')
    expect(whole.journals[2]).toMatchObject({
      attributes: { id: site.channel.id, name: 'Water', user_id: site.person.id },
      metadata: { floor: 1 },
    })
    expect(whole.journals[0].metadata).toEqual({})
  })

  it('stays readable to those who administer the domain when the entity is deleted, and to nobody else', async () => {
    const site = await api.given.site()
    const other = await api.given.site()
    const reader = await api.given.person()
    const d = site.domain.id
    await addMember(gateway, d, reader.id, ['read', 'client_read', 'channel_read', 'group_read'])
    const { body: group } = await api.expect(201, 'POST', `/${d}/groups`, {
      token: site.token,
      body: { name: 'g' },
    })
    for (const [type, id] of [
      ['client', site.client.id],
      ['channel', site.channel.id],
      ['group', group.id],
    ] as const) {
      const path = `/${d}/journal/${type}/${id}`
      await journalOf(reader.token, path)
      const { status } = await api.call('DELETE', `/${d}/${type}s/${id}`, { token: site.token })
      expect(status).toBeLessThan(300)
      for (const token of [site.token, root]) {
        expect(operationsIn(await journalOf(token, path))).toEqual(
          expect.arrayContaining([`${type}.remove`, `${type}.create`]),
        )
        expect((await journalOf(token, path, '?operation=none')).total).toBe(0)
      }
      await api.expect(404, 'GET', path, { token: reader.token })
      await api.expect(403, 'GET', path, { token: other.token })
      await api.expect(404, 'GET', `/${other.domain.id}/journal/${type}/${id}`, { token: other.token })
    }
    await api.expect(204, 'DELETE', `/domains/${d}`, { token: site.token })
    const path = `/${d}/journal/domain/${d}`
    expect(operationsIn(await journalOf(root, path))).toContain('domain.delete')
    await api.expect(403, 'GET', path, { token: site.token })
  })

  it('is paged, and filtered by operation and by time', async () => {
    const site = await api.given.site()
    const path = `/${site.domain.id}/journal/channel/${site.channel.id}`
    const page = await journalOf(site.token, path, '?limit=1&offset=1')
    expect([page.total, operationsIn(page)]).toEqual([2, ['channel.create']])
    const named = await journalOf(site.token, path, '?operation=channel.connect')
    expect([named.total, operationsIn(named)]).toEqual([1, ['channel.connect']])
    const at = Date.parse(page.journals[0].occurred_at) / 1_000
    expect((await journalOf(site.token, path, `?from=${at - 60}&to=${at + 60}`)).total).toBe(2)
    expect((await journalOf(site.token, path, `?to=${at - 60}`)).total).toBe(0)
    for (const query of ['?from=2&to=1', '?limit=101', '?dir=up', '?from=soon', '?with_metadata=perhaps']) {
      expect((await api.call('GET', path + query, { token: site.token })).status).toBe(400)
    }
  })

  it('is there for clients, groups and the domain, under its route too', async () => {
    const { token } = await api.given.person()
    const domain = await api.given.domain(token, { route: 'journal-plant' })
    const client = await api.given.client(token, domain.id)
    const { body: group } = await api.expect(201, 'POST', `/${domain.id}/groups`, {
      token,
      body: { name: 'g' },
    })
    for (const [type, id] of [
      ['client', client.id],
      ['group', group.id],
      ['domain', domain.id],
    ]) {
      const body = await journalOf(token, `/journal-plant/journal/${type}/${id}`)
      expect(operationsIn(body)).toEqual([`${type}.create`])
    }
    expect((await api.call('GET', `/${domain.id}/journal/thing/${client.id}`, { token })).status).toBe(400)
  })

  it('is for those who may read the entity', async () => {
    const site = await api.given.site()
    const [stranger, member] = [await api.given.person(), await api.given.person()]
    await addMember(gateway, site.domain.id, member.id)
    const d = site.domain.id
    for (const [type, id] of [
      ['channel', site.channel.id],
      ['client', site.client.id],
    ]) {
      for (const path of [`/${d}/journal/${type}/${id}`]) {
        expect((await api.call('GET', path, { token: stranger.token })).status).toBe(403)
        expect((await api.call('GET', path, { token: member.token })).status).toBe(403)
        expect((await api.call('GET', path)).status).toBe(401)
        await api.expect(200, 'GET', path, { token: root })
      }
    }
    const elsewhere = await api.given.domain(stranger.token)
    const foreign = await api.call('GET', `/${elsewhere.id}/journal/client/${site.client.id}`, {
      token: stranger.token,
    })
    expect(foreign.status).toBe(404)
  })
})

describe('the journal of a user', () => {
  it('tells what was done to and by the user; for oneself and superadmins', async () => {
    const site = await api.given.site()
    const path = `/journal/user/${site.person.id}`
    const own = await journalOf(site.token, path, '?limit=100')
    expect(operationsIn(own)).toEqual([
      'channel.connect',
      'channel.create',
      'client.create',
      'domain.create',
      'user.issue_token',
      'user.create',
    ])
    expect(await journalOf(root, path, '?limit=100')).toEqual(own)
    const stranger = await api.given.person()
    expect((await api.call('GET', path, { token: stranger.token })).status).toBe(403)
  })

  it('of one domain tells its members what the user did there, and nothing else', async () => {
    const site = await api.given.site()
    await api.given.domain(site.token)
    const member = await api.given.person()
    await addMember(gateway, site.domain.id, member.id)
    const path = `/${site.domain.id}/journal/user/${site.person.id}`
    const body = await journalOf(member.token, path, '?limit=100')
    expect(operationsIn(body)).toEqual([
      'channel.connect',
      'channel.create',
      'client.create',
      'domain.create',
    ])
    const stranger = await api.given.person()
    expect((await api.call('GET', path, { token: stranger.token })).status).toBe(403)
  })
})

describe('the telemetry of a client', () => {
  it('counts the messages that have come from it, stored ones or not', async () => {
    const site = await api.given.site()
    const path = `/${site.domain.id}/journal/client/${site.client.id}/telemetry`
    const before = await journalOf(site.token, path)
    expect(before).toEqual({
      client_id: site.client.id,
      domain_id: site.domain.id,
      subscriptions: 0,
      inbound_messages: 0,
      outbound_messages: 0,
    })
    for (const [type, body] of [
      ['application/senml+json', '[{"n":"a","v":1},{"n":"b","v":2}]'],
      ['application/json', '{"a":1}'],
      ['application/octet-stream', 'anything'],
    ] as const) {
      await api.expect(202, 'POST', `/${site.topic}`, { auth: site.auth, type, body })
    }
    const after = await eventually('all three are counted', async () => {
      const found = await journalOf(site.token, path)
      return found.inbound_messages === 3 && found
    })
    expect(after.first_seen <= after.last_seen).toBe(true)
    const stranger = await api.given.person()
    expect((await api.call('GET', path, { token: stranger.token })).status).toBe(403)
  })
})
