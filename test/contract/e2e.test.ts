import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Answer, Api } from '../support/api.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

/** What Magistrala's end-to-end tool does, step by step (contract B, 1 to 14), with zero fields as Go sends them. */
const N = 3
const LIST = 'with_attributes=false&with_metadata=false'
const ZERO = {
  id: '',
  created_at: '0001-01-01T00:00:00Z',
  updated_at: '0001-01-01T00:00:00Z',
  credentials: {},
}

let gateway: TestGateway
let api: Api
let token: string
let domain: string
type Entity = Answer['body']
let users: Entity[]
let groups: Entity[]
let clients: Entity[]
let channels: Entity[]

beforeAll(async () => {
  gateway = await startTestGateway({ SLUICE_OPEN_ADMIN_SIGNUP: '1' })
  api = createApi(gateway.url)
})
afterAll(() => gateway.stop())

const each = <T>(make: (index: number) => Promise<T>) =>
  Promise.all(Array.from({ length: N }, (_, i) => make(i)))

const newUser = (name: string) => ({
  first_name: name,
  last_name: 'Adams',
  email: `${name}@email.com`,
  credentials: { username: name, secret: '12345678' },
  status: 'enabled',
})

async function toggles(path: string): Promise<void> {
  const off = await api.expect(200, 'POST', `${path}/disable`, { token })
  expect(off.body.status).toBe('disabled')
  const on = await api.expect(200, 'POST', `${path}/enable`, { token })
  expect(on.body.status).toBe('enabled')
}

describe('the end-to-end tool of Magistrala', () => {
  it('1 to 4: registers an admin, signs in, makes a domain', async () => {
    const admin = await api.expect(201, 'POST', '/users', {
      body: { ...newUser('Brandi-Adams'), role: 'admin' },
    })
    expect(admin.body.role).toBe('admin')
    token = (await api.signIn('Brandi-Adams', '12345678')).token
    const body = { ...ZERO, name: 'Plant-Main', route: 'plant-main', permission: 'admin' }
    domain = (await api.expect(201, 'POST', '/domains', { token, body })).body.id
    token = (await api.signIn('Brandi-Adams', '12345678')).token
  })

  it('5 to 8: makes users, groups, clients in bulk and channels', async () => {
    users = await each(
      async (i) => (await api.expect(201, 'POST', '/users', { token, body: newUser(`user-${i}`) })).body,
    )
    groups = await each(
      async (i) =>
        (
          await api.expect(201, 'POST', `/${domain}/groups`, {
            token,
            body: { ...ZERO, name: `g-${i}`, status: 'enabled' },
          })
        ).body,
    )
    const bulk = Array.from({ length: N }, (_, i) => ({ ...ZERO, name: `c-${i}` }))
    clients = (await api.expect(200, 'POST', `/${domain}/clients/bulk`, { token, body: bulk })).body.clients
    expect(clients.every((one) => one.domain_id === domain && one.credentials.secret !== '')).toBe(true)
    channels = await each(
      async (i) =>
        (await api.expect(201, 'POST', `/${domain}/channels`, { token, body: { ...ZERO, name: `ch-${i}` } }))
          .body,
    )
  })

  it('9: reads each, and lists at least as many', async () => {
    for (const user of users) await api.expect(200, 'GET', `/users/${user.id}`, { token })
    for (const group of groups) await api.expect(200, 'GET', `/${domain}/groups/${group.id}`, { token })
    for (const client of clients) await api.expect(200, 'GET', `/${domain}/clients/${client.id}`, { token })
    for (const channel of channels)
      await api.expect(200, 'GET', `/${domain}/channels/${channel.id}`, { token })
    for (const path of ['/users', `/${domain}/groups`, `/${domain}/clients`, `/${domain}/channels`]) {
      const { body } = await api.expect(200, 'GET', `${path}?${LIST}`, { token })
      expect(body.total).toBeGreaterThanOrEqual(N)
    }
  })

  it('10: changes users', async () => {
    for (const user of users) {
      const path = `/users/${user.id}`
      const changed = { ...user, first_name: 'Changed', metadata: { Update: 'x' } }
      const { body } = await api.expect(200, 'PATCH', path, { token, body: changed })
      expect(body).toMatchObject({
        first_name: 'Changed',
        metadata: { Update: 'x' },
        email: user.email,
        credentials: { username: user.credentials.username },
      })
      const username = `${user.credentials.username}-new`
      const renamed = await api.expect(200, 'PATCH', `${path}/username`, { token, body: { username } })
      expect(renamed.body.credentials.username).toBe(username)
      const mailed = await api.expect(200, 'PATCH', `${path}/email`, { token, body: { email: user.email } })
      expect(mailed.body.email).toBe(user.email)
      const tagged = await api.expect(200, 'PATCH', `${path}/tags`, {
        token,
        body: { ...user, tags: ['one'] },
      })
      expect(tagged.body.tags).toEqual(['one'])
      await toggles(path)
    }
  })

  it('11 to 13: changes groups, clients and channels', async () => {
    for (const group of groups) {
      const path = `/${domain}/groups/${group.id}`
      const { body } = await api.expect(200, 'PUT', path, {
        token,
        body: { ...group, name: 'new', metadata: { Update: 1 } },
      })
      expect(body).toMatchObject({ name: 'new', metadata: { Update: 1 } })
      await toggles(path)
    }
    for (const client of clients) {
      const path = `/${domain}/clients/${client.id}`
      const { body } = await api.expect(200, 'PATCH', path, {
        token,
        body: { ...client, name: 'new', metadata: { Update: 1 } },
      })
      expect(body).toMatchObject({ name: 'new', metadata: { Update: 1 } })
      // The tool sends back the secret of the answer before, which is empty here: nothing changes (contract D29).
      await api.expect(200, 'PATCH', `${path}/secret`, { token, body: { secret: body.credentials.secret } })
      const tagged = await api.expect(200, 'PATCH', `${path}/tags`, {
        token,
        body: { ...client, tags: ['one'] },
      })
      expect(tagged.body.tags).toEqual(['one'])
      await toggles(path)
    }
    for (const channel of channels) {
      const path = `/${domain}/channels/${channel.id}`
      const { body } = await api.expect(200, 'PATCH', path, {
        token,
        body: { ...channel, name: 'new', metadata: { Update: 1 } },
      })
      expect(body).toMatchObject({ name: 'new', metadata: { Update: 1 } })
      await toggles(path)
    }
  })

  it('14 and 15: connects each with each, and publishes with the secrets of the bulk answer', async () => {
    for (const client of clients) {
      for (const channel of channels) {
        const body = { client_ids: [client.id], channel_ids: [channel.id], types: ['publish', 'subscribe'] }
        await api.expect(201, 'POST', `/${domain}/channels/connect`, { token, body })
      }
    }
    const message = JSON.stringify([
      { bn: 'demo', bu: 'V', t: 1_700_000_000, bver: 5, n: 'voltage', u: 'V', v: 3 },
    ])
    for (const client of clients) {
      await api.expect(200, 'POST', '/http/publish', {
        auth: `Bearer ${client.credentials.secret}`,
        headers: { 'x-fluxmq-username': domain },
        body: {
          topic: `m/${domain}/c/${channels[0].id}`,
          payload: Buffer.from(message).toString('base64'),
          qos: 0,
          retain: false,
        },
      })
    }
  })
})
