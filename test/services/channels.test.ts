import mqtt from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'
import { withAdmin } from '../support/postgres.ts'

let gateway: TestGateway
let api: Api
beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
})
afterAll(() => gateway.stop())

/** A site, and what is done to its channel as its owner. */
async function site() {
  const given = await api.given.site()
  const path = `/${given.domain.id}/channels/${given.channel.id}`
  return {
    ...given,
    call: (method: string, rest = '', body?: unknown) =>
      api.call(method, path + rest, { token: given.token, body }),
    publish: async () =>
      (await api.call('POST', `/${given.topic}`, { auth: given.auth, body: [{ n: 'x', v: 1 }] })).status,
  }
}

describe('a channel', () => {
  it('has its tags replaced, in the order given', async () => {
    const { call } = await site()
    expect((await call('PATCH', '/tags', { tags: ['b', 'a'] })).body.tags).toEqual(['b', 'a'])
  })

  it('carries nothing while it is disabled', async () => {
    const { call, publish } = await site()
    expect(await publish()).toBe(202)
    expect(await call('POST', '/disable')).toMatchObject({ status: 200, body: { status: 'disabled' } })
    expect((await call('POST', '/disable')).body.error).toBe('status_unchanged')
    await eventually('publishing is refused', async () => (await publish()) === 403)
    expect(await call('POST', '/enable')).toMatchObject({ status: 200, body: { status: 'enabled' } })
    await eventually('publishing goes on', async () => (await publish()) === 202)
  })

  it('delivers nothing to a subscriber that was there when it was disabled', async () => {
    const { client, secret, topic, call, publish } = await site()
    const subscriber = await mqtt.connectAsync(gateway.mqttUrl, { username: client.id, password: secret })
    const heard: string[] = []
    subscriber.on('message', (_topic, payload) => heard.push(payload.toString()))
    await subscriber.subscribeAsync(topic)
    await publish()
    await eventually('the first message arrives', () => heard.length === 1)
    await call('POST', '/disable')
    await eventually('publishing is refused', async () => (await publish()) === 403)
    await call('POST', '/enable')
    await eventually('publishing goes on', async () => (await publish()) === 202)
    await eventually('messages arrive again', () => heard.length >= 2)
    await subscriber.endAsync()
  })

  it('is deleted with its connections, and frees its route', async () => {
    const { token, domain, client, channel, call, publish } = await site()
    const { body: routed } = await api.expect(201, 'POST', `/${domain.id}/channels`, {
      token,
      body: { route: 'air' },
    })
    await api.expect(204, 'DELETE', `/${domain.id}/channels/${routed.id}`, { token })
    await api.given.channel(token, domain.id, { route: 'air' })

    const gone = await call('DELETE')
    expect([gone.status, gone.text]).toEqual([204, ''])
    expect((await call('GET')).status).toBe(404)
    expect((await call('DELETE')).status).toBe(404)
    await eventually('publishing is refused', async () => (await publish()) !== 202)
    const { body } = await api.expect(200, 'GET', `/${domain.id}/channels?client=${client.id}`, { token })
    expect(body.total).toBe(0)
    await withAdmin(gateway.ground.databaseUrl, async (db) => {
      const { rows } = await db.query(
        `select (select count(*) from connections where channel_id = $1) as connections,
          (select count(*) from roles where entity_id = $1) as roles`,
        [channel.id],
      )
      expect(rows).toEqual([{ connections: 0, roles: 0 }])
    })
  })

  it('is put into a group and taken out again', async () => {
    const { token, domain, call } = await site()
    const { body: group } = await api.expect(201, 'POST', `/${domain.id}/groups`, {
      token,
      body: { name: 'g' },
    })
    const set = await call('POST', '/parent', { parent_group_id: group.id })
    expect([set.status, set.text]).toEqual([200, ''])
    expect((await call('GET')).body).toMatchObject({ parent_group_id: group.id, parent_group_path: group.id })
    expect((await call('POST', '/parent', { parent_group_id: group.id })).body.error).toBe('parent_set')
    expect((await call('DELETE', '/parent')).status).toBe(204)
    expect((await call('GET')).body).not.toHaveProperty('parent_group_id')
  })

  it('that fifty requests create with one route is created once', async () => {
    const { token, domain } = await site()
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        api.call('POST', `/${domain.id}/channels`, { token, body: { route: i % 2 === 0 ? 'same' : 'SAME' } }),
      ),
    )
    expect(answers.map((answer) => answer.status).sort((a, b) => a - b)).toEqual([
      201,
      ...Array.from({ length: 49 }, () => 409),
    ])
  })

  it('that fifty requests connect is connected by one', async () => {
    const { token, domain } = await site()
    const [channel, client] = [
      await api.given.channel(token, domain.id),
      await api.given.client(token, domain.id),
    ]
    const body = { channel_ids: [channel.id], client_ids: [client.id] }
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => api.call('POST', `/${domain.id}/channels/connect`, { token, body })),
    )
    expect(answers.map((answer) => answer.status).sort((a, b) => a - b)).toEqual([
      201,
      ...Array.from({ length: 49 }, () => 409),
    ])
  })
})
