import { randomUUID } from 'node:crypto'
import { request } from 'node:http'
import mqtt from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'
import { withAdmin } from '../support/postgres.ts'
import { giveRole } from '../support/roles.ts'

let gateway: TestGateway
let api: Api
beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
})
afterAll(() => gateway.stop())

/** A site, and what is done to its client as its owner. */
async function site() {
  const given = await api.given.site()
  const path = `/${given.domain.id}/clients/${given.client.id}`
  return {
    ...given,
    path,
    call: (method: string, rest = '', body?: unknown) =>
      api.call(method, path + rest, { token: given.token, body }),
    publish: async (secret: string) =>
      (
        await api.call('POST', `/${given.topic}`, {
          auth: `Client ${secret}`,
          body: [{ n: 'x', v: 1 }],
        })
      ).status,
    /** A live MQTT connection; resolves when the server has closed it. */
    connect: async (secret: string) => {
      const client = await mqtt.connectAsync(gateway.mqttUrl, {
        username: given.client.id,
        password: secret,
        reconnectPeriod: 0,
      })
      return { closed: new Promise<void>((resolve) => void client.once('close', () => resolve())), client }
    },
  }
}

const operations = (id: string): Promise<string[]> =>
  withAdmin(gateway.ground.databaseUrl, async (db) => {
    const { rows } = await db.query('select operation from journal where entity_id = $1 order by seq', [id])
    return rows.map((row: { operation: string }) => row.operation)
  })

describe('a client', () => {
  it('is changed by PATCH, absent fields and tags staying', async () => {
    const { call } = await site()
    const { body } = await call('PATCH', '', { name: 'new', metadata: { a: 1 }, private_metadata: { b: 2 } })
    expect(body).toMatchObject({ name: 'new', metadata: { a: 1 }, private_metadata: { b: 2 } })
    expect(body.credentials.secret).toBe('')
    // What Go sends: the whole entity, with empty strings and zero times for what it does not mean.
    const again = await call('PATCH', '', { name: '', tags: ['no'], created_at: '0001-01-01T00:00:00Z' })
    expect(again.body).toMatchObject({
      name: 'new',
      tags: [],
      metadata: { a: 1 },
      private_metadata: { b: 2 },
    })
  })

  it('shows its private metadata to those alone who may update it', async () => {
    const { domain, path, call } = await site()
    await call('PATCH', '', { private_metadata: { b: 2 } })
    const reader = await api.given.person()
    await giveRole(gateway.ground.databaseUrl, {
      user: reader.id,
      type: 'domain',
      entity: domain.id,
      domain: domain.id,
      actions: ['client_read'],
    })
    const { body: one } = await api.expect(200, 'GET', path, { token: reader.token })
    const { body: all } = await api.expect(200, 'GET', `/${domain.id}/clients`, { token: reader.token })
    for (const shown of [one, ...all.clients]) expect(shown).not.toHaveProperty('private_metadata')
    expect((await call('GET')).body.private_metadata).toEqual({ b: 2 })
  })

  it('has its tags replaced, in the order given', async () => {
    const { call } = await site()
    expect((await call('PATCH', '/tags', { tags: ['b', 'a'] })).body.tags).toEqual(['b', 'a'])
  })

  it('is deleted with a sentence, or with 204 for who asks for no representation', async () => {
    const { call } = await site()
    const answer = await call('DELETE')
    expect([answer.status, answer.body]).toEqual([200, { message: 'Client deleted successfully' }])
    expect((await call('DELETE')).status).toBe(404)

    const other = await site()
    const status = await new Promise((resolve, reject) => {
      // fetch always sends Accept; Go's HTTP client never does.
      const sent = request(gateway.url + other.path, {
        method: 'DELETE',
        headers: { authorization: `Bearer ${other.token}` },
      })
      sent.on('response', (response) => resolve(response.resume().statusCode)).on('error', reject)
      sent.end()
    })
    expect(status).toBe(204)
  })

  it('frees its secret when it is deleted, but not its id', async () => {
    const { token, domain, client, secret, call } = await site()
    await call('DELETE')
    await api.given.client(token, domain.id, { credentials: { secret } })
    const again = await api.call('POST', `/${domain.id}/clients`, { token, body: { id: client.id } })
    expect(again.status).toBe(409)
  })

  it('is put into a group and taken out again', async () => {
    const { token, domain, client, call } = await site()
    const group = async (name: string) =>
      (await api.expect(201, 'POST', `/${domain.id}/groups`, { token, body: { name } })).body
    const [a, b] = [await group('a'), await group('b')]
    const set = await call('POST', '/parent', { parent_group_id: a.id })
    expect([set.status, set.text]).toEqual([200, ''])
    expect((await call('GET')).body).toMatchObject({ parent_group_id: a.id, parent_group_path: a.id })
    const again = await call('POST', '/parent', { parent_group_id: b.id })
    expect([again.status, again.body.error]).toEqual([409, 'parent_set'])
    expect((await call('DELETE', '/parent')).status).toBe(204)
    expect((await call('GET')).body).not.toHaveProperty('parent_group_id')
    expect((await call('DELETE', '/parent')).status).toBe(204)
    expect(await operations(client.id)).toEqual([
      'client.create',
      'client.set_parent',
      'client.remove_parent',
    ])
  })

  it('is put into no group of another domain', async () => {
    const [here, there] = [await site(), await site()]
    const { body: foreign } = await api.expect(201, 'POST', `/${there.domain.id}/groups`, {
      token: there.token,
      body: { name: 'g' },
    })
    const answers = await Promise.all(
      [foreign.id, randomUUID()].map((id) => here.call('POST', '/parent', { parent_group_id: id })),
    )
    expect(answers.map((answer) => [answer.status, answer.body.error])).toEqual([
      [403, 'forbidden'],
      [403, 'forbidden'],
    ])
  })

  it('never ends up in a group that is deleted at the same time', async () => {
    const { token, domain } = await site()
    const path = `/${domain.id}/groups`
    const { body: group } = await api.expect(201, 'POST', path, { token, body: { name: 'g' } })
    const [, ...created] = await Promise.all([
      api.call('DELETE', `${path}/${group.id}`, { token }),
      ...Array.from({ length: 20 }, () =>
        api.call('POST', `/${domain.id}/clients`, { token, body: { parent_group_id: group.id } }),
      ),
    ])
    for (const { status, body } of created) {
      expect([201, 403, 404]).toContain(status)
      if (status !== 201) continue
      const { body: now } = await api.expect(200, 'GET', `/${domain.id}/clients/${body.id}`, { token })
      expect(now).not.toHaveProperty('parent_group_id')
    }
  })
})

describe('the secret of a client', () => {
  it('is replaced by one that the user brings, shown in that answer alone', async () => {
    const { secret, call, publish } = await site()
    const answer = await call('PATCH', '/secret', { secret: 'brought' })
    expect(answer).toMatchObject({
      status: 200,
      body: { status: 'enabled', credentials: { secret: 'brought' } },
    })
    expect((await call('GET')).body.credentials.secret).toBe('')
    expect(await publish('brought')).toBe(202)
    await eventually('the old secret ends', async () => (await publish(secret)) === 401)
  })

  it.each([[{}], [{ secret: '' }], [{ secret: null }]])('stays as it is with %j', async (body) => {
    const { secret, client, call, publish } = await site()
    expect((await call('PATCH', '/secret', body)).status).toBe(200)
    expect(await publish(secret)).toBe(202)
    expect(await operations(client.id)).toEqual(['client.create'])
  })

  it('may be set to what it is, and not to what another client of the domain has', async () => {
    const { token, domain, secret, call } = await site()
    await api.given.client(token, domain.id, { credentials: { secret: 'taken' } })
    expect((await call('PATCH', '/secret', { secret })).status).toBe(200)
    const answer = await call('PATCH', '/secret', { secret: 'taken' })
    expect([answer.status, answer.body.error]).toEqual([409, 'secret_taken'])
  })

  it('is rotated: a new one is made, and the old one ends at once', async () => {
    const { secret, call, publish } = await site()
    const { status, body } = await call('POST', '/secret/rotate')
    expect(status).toBe(200)
    expect(body.credentials.secret).not.toBe(secret)
    expect(await publish(body.credentials.secret)).toBe(202)
    await eventually('the old secret ends', async () => (await publish(secret)) === 401)
  })

  it('is rotated with a grace period, in which both hold and nobody else gets the old one', async () => {
    const { token, domain, client, secret, call, publish, connect } = await site()
    const { body } = await call('POST', '/secret/rotate', { grace_period_s: 3_600 })
    expect(await publish(body.credentials.secret)).toBe(202)
    expect(await publish(secret)).toBe(202)
    const { client: live } = await connect(secret)
    await live.endAsync()
    const other = await api.call('POST', `/${domain.id}/clients`, {
      token,
      body: { credentials: { secret } },
    })
    expect([other.status, other.body.error]).toEqual([409, 'secret_taken'])
    expect((await call('PATCH', '/secret', { secret })).status).toBe(200)
    await eventually('the new secret ends', async () => (await publish(body.credentials.secret)) === 401)
    expect(await operations(client.id)).toHaveLength(3)
  })

  it('closes the connections that came in with the old one when the grace period ends', async () => {
    const { secret, call, publish, connect } = await site()
    const { closed } = await connect(secret)
    const { body } = await call('POST', '/secret/rotate', { grace_period_s: 1 })
    await closed
    expect(await publish(secret)).toBe(401)
    expect(await publish(body.credentials.secret)).toBe(202)
  })

  it.each([-1, 1.5, 'a', 31 * 86_400])('is not rotated with a grace period of %j', async (grace_period_s) => {
    const { call } = await site()
    const answer = await call('POST', '/secret/rotate', { grace_period_s })
    expect(answer.status).toBe(400)
    expect(answer.body.message).toContain('grace_period_s')
  })
})

describe('the live connection of a client', () => {
  it.each([
    ['is disabled', 'POST', '/disable'],
    ['is deleted', 'DELETE', ''],
    ['has its secret rotated', 'POST', '/secret/rotate'],
  ])('closes when the client %s', async (_what, method, rest) => {
    const { secret, call, connect, publish } = await site()
    const { closed } = await connect(secret)
    expect((await call(method, rest)).status).toBe(200)
    await closed
    expect(await publish(secret)).toBe(401)
  })

  it('may be opened again when the client is enabled again', async () => {
    const { secret, call, publish } = await site()
    await call('POST', '/disable')
    await eventually('it is locked out', async () => (await publish(secret)) === 401)
    expect(await call('POST', '/enable')).toMatchObject({ status: 200, body: { status: 'enabled' } })
    await eventually('it is let in', async () => (await publish(secret)) === 202)
    expect((await call('POST', '/enable')).body.error).toBe('status_unchanged')
  })
})

describe('fifty requests at the same time', () => {
  const statuses = async (request: (index: number) => Promise<{ status: number }>) => {
    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => request(index)))
    return answers.map((answer) => answer.status).sort((a, b) => a - b)
  }
  const one201 = [201, ...Array.from({ length: 49 }, () => 409)]

  it('that create clients with one id make one', async () => {
    const { token, domain } = await site()
    const id = randomUUID()
    expect(await statuses(() => api.call('POST', `/${domain.id}/clients`, { token, body: { id } }))).toEqual(
      one201,
    )
  })

  it('that create clients with one secret make one', async () => {
    const { token, domain } = await site()
    const body = { credentials: { secret: 'the same' } }
    expect(await statuses(() => api.call('POST', `/${domain.id}/clients`, { token, body }))).toEqual(one201)
  })

  it('that create the same clients in bulk, in either order, make them once', async () => {
    const { token, domain } = await site()
    const batch = Array.from({ length: 20 }, (_, i) => ({
      id: randomUUID(),
      credentials: { secret: `s${i}` },
    }))
    const found = await statuses((index) =>
      api.call('POST', `/${domain.id}/clients/bulk`, {
        token,
        body: index % 2 === 0 ? batch : batch.toReversed(),
      }),
    )
    expect(found).toEqual([200, ...Array.from({ length: 49 }, () => 409)])
  })

  it('that give clients one secret let one have it', async () => {
    const { token, domain } = await site()
    const clients = await Promise.all(Array.from({ length: 50 }, () => api.given.client(token, domain.id)))
    const found = await statuses((index) =>
      api.call('PATCH', `/${domain.id}/clients/${clients[index]?.id}/secret`, {
        token,
        body: { secret: 'wanted' },
      }),
    )
    expect(found).toEqual([200, ...Array.from({ length: 49 }, () => 409)])
  })

  it('that disable a client do it once', async () => {
    const { call } = await site()
    expect(await statuses(() => call('POST', '/disable'))).toEqual([
      200,
      ...Array.from({ length: 49 }, () => 409),
    ])
  })
})
