import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { createAuthority } from '../../adapters/authority-cache.ts'
import type { AuthorityLimits, CachedAuthority } from '../../adapters/authority-cache.ts'
import type { AuthorityChange, Principal } from '../../adapters/authority.ts'
import { createRemoteBackend, serveBackend } from '../../adapters/authority-rpc.ts'
import { Unavailable } from '../../platform/errors.ts'
import { announce, AuthorityTables } from '../support/authority.ts'
import type { Channel, Client } from '../support/authority.ts'
import { startTestBus } from '../support/bus.ts'
import type { TestBus } from '../support/bus.ts'

let server: TestBus
let tables: AuthorityTables
let channel: Channel
let client: Client
let principal: Principal
let authority: CachedAuthority
let changes: AuthorityChange[]

beforeAll(async () => {
  server = await startTestBus()
})
afterAll(() => server.stop())

beforeEach(async () => {
  tables = new AuthorityTables()
  channel = tables.addChannel()
  client = tables.addClient()
  principal = { kind: 'client', id: client.id, domainId: client.domainId }
  tables.allow(client, channel, 'publish', 'subscribe')
  await create({ refusalTtlMs: 600_000, ttlMs: 600_000 })
  return () => authority.stop()
})

async function create(limits: Partial<AuthorityLimits>): Promise<void> {
  authority?.stop()
  authority = createAuthority({ backend: tables, bus: server.bus, limits })
  changes = []
  authority.onChange((change) => changes.push(change))
  await authority.ready
}

const mayPublish = (who: Principal = principal, where = channel): Promise<boolean> =>
  authority.authorize({ principal: who, channelId: where.id, action: 'publish' })
const authenticate = (secret = client.secret): Promise<Principal | null> =>
  authority.authenticate({ kind: 'client', clientId: client.id, secret })
const find = (name: string) => authority.findChannel({ domain: tables.domainRoute, channel: name })

/** How often the backend was asked while this ran. */
async function asked(run: () => Promise<unknown>): Promise<number> {
  const before = tables.asked
  await run()
  return tables.asked - before
}

describe('an answer', () => {
  it('is remembered, for each question apart', async () => {
    expect(await mayPublish()).toBe(true)
    expect(await authenticate()).toEqual(principal)
    expect(await find(channel.route)).toEqual({ domainId: channel.domainId, channelId: channel.id })
    expect(await authenticate('wrong')).toBeNull()
    expect(await asked(() => Promise.all([mayPublish(), authenticate(), find(channel.route)]))).toBe(0)
    expect(await asked(() => authenticate('wrong'))).toBe(0)
    expect(
      await asked(() => authority.authorize({ principal, channelId: channel.id, action: 'subscribe' })),
    ).toBe(1)
  })

  it('is asked for once by all who ask at the same time', async () => {
    expect(await asked(() => Promise.all(Array.from({ length: 20 }, () => mayPublish())))).toBe(1)
  })

  it('is not remembered when the backend is away, and neither is the failure', async () => {
    tables.gate = () => Promise.reject(new Unavailable('away'))
    await expect(mayPublish()).rejects.toThrow(Unavailable)
    tables.gate = () => Promise.resolve()
    expect(await mayPublish()).toBe(true)
  })

  it('of "no" does not push out an answer of "yes", however many there are', async () => {
    await create({ maxPrincipals: 10, maxRefusals: 10 })
    await authenticate()
    for (let guess = 0; guess < 100; guess += 1) await authenticate(`guess ${guess}`)
    expect(await asked(() => authenticate())).toBe(0)
  })

  it('ends with the token that it is about', async () => {
    const token = 'a.b.c'
    const expiresAtMs = Date.now() - 1
    tables.tokens.set(token, 'user')
    tables.tokenEnds.set(token, expiresAtMs)
    const user = { kind: 'user', id: 'user', expiresAtMs }
    expect(await authority.authenticate({ kind: 'token', token })).toEqual(user)
    tables.tokens.clear()
    await vi.waitFor(async () => expect(await authority.authenticate({ kind: 'token', token })).toBeNull())
  })

  it('from before a change is neither remembered nor given to who asks after it', async () => {
    let answer = (): void => undefined
    tables.gate = () =>
      new Promise((resolve) => {
        answer = resolve
      })
    const before = mayPublish()
    await disconnect()
    await vi.waitFor(() => expect(changes).toHaveLength(1))
    const answerBefore = answer
    const after = mayPublish()
    tables.gate = () => Promise.resolve()
    const answerAfter = answer
    // The backend decided the first question before the change, and its answer is slow.
    tables.allow(client, channel, 'publish')
    answerBefore()
    expect(await before).toBe(true)
    tables.forbid(client, channel)
    answerAfter()
    expect(await after).toBe(false)
    expect(await mayPublish()).toBe(false)
  })
})

function disconnect(who = client, where = channel): Promise<void> {
  tables.forbid(who, where)
  return announce(server.bus, {
    operation: 'channel.disconnect',
    domain_id: where.domainId,
    entity_id: where.id,
    attributes: { client_ids: [who.id], channel_ids: [where.id] },
  })
}

describe('an event', () => {
  it('of a disconnect evicts that client on that channel, and nobody else', async () => {
    const other = tables.addChannel()
    const neighbour = tables.addClient()
    const second: Principal = { ...principal, id: neighbour.id }
    tables.allow(client, other, 'publish')
    tables.allow(neighbour, channel, 'publish')
    const all = [
      mayPublish,
      () => mayPublish(principal, other),
      () => mayPublish(second),
      () => authenticate(),
    ]
    for (const question of all) await question()

    await disconnect()
    await vi.waitFor(() => expect(changes).toHaveLength(1))
    expect(changes[0]).toEqual({
      domainId: channel.domainId,
      clientIds: [client.id],
      channelIds: [channel.id],
    })
    expect(await mayPublish()).toBe(false)
    expect(await asked(() => Promise.all(all.slice(1).map((question) => question())))).toBe(0)
  })

  it('of a connect makes a refusal forgotten', async () => {
    tables.forbid(client, channel)
    expect(await mayPublish()).toBe(false)
    tables.allow(client, channel, 'publish')
    await announce(server.bus, {
      operation: 'channel.connect',
      domain_id: channel.domainId,
      attributes: { client_ids: [client.id], channel_ids: [channel.id] },
    })
    await vi.waitFor(async () => expect(await mayPublish()).toBe(true))
  })

  it.each(['client.disable', 'client.update_secret', 'client.remove', 'client.rotate_secret'])(
    'of %s evicts who the client is and what it may',
    async (operation) => {
      await authenticate()
      await mayPublish()
      client.isEnabled = false
      tables.forbid(client, channel)
      await announce(server.bus, { operation, domain_id: client.domainId, entity_id: client.id })
      await vi.waitFor(() => expect(changes).toHaveLength(1))
      expect(await authenticate()).toBeNull()
      expect(await mayPublish()).toBe(false)
    },
  )

  it('of a channel evicts its names and what clients may there, and not who they are', async () => {
    await find(channel.route)
    await mayPublish()
    await authenticate()
    await announce(server.bus, {
      operation: 'channel.remove',
      domain_id: channel.domainId,
      entity_id: channel.id,
    })
    await vi.waitFor(() => expect(changes).toHaveLength(1))
    expect(await asked(() => Promise.all([find(channel.route), mayPublish(), authenticate()]))).toBe(2)
  })

  it('of a domain evicts all in it', async () => {
    await find(channel.route)
    await mayPublish()
    await authenticate()
    await announce(server.bus, { operation: 'domain.freeze', entity_id: channel.domainId })
    await vi.waitFor(() => expect(changes).toHaveLength(1))
    expect(await asked(() => Promise.all([find(channel.route), mayPublish(), authenticate()]))).toBe(3)
  })

  it('of a user evicts the user; of roles and groups, what users may', async () => {
    tables.tokens.set('token', 'u1')
    const user: Principal = { kind: 'user', id: 'u1' }
    const login = () => authority.authenticate({ kind: 'token', token: 'token' })
    tables.allow(user, channel, 'publish')
    const all = () => Promise.all([login(), mayPublish(user), mayPublish()])
    await all()
    await announce(server.bus, { operation: 'role.remove', domain_id: channel.domainId })
    await vi.waitFor(() => expect(changes).toHaveLength(1))
    expect(changes[0]).toEqual({ kind: 'user', domainId: channel.domainId })
    expect(await asked(all)).toBe(1)
    await announce(server.bus, { operation: 'user.disable', entity_id: 'u1' })
    await vi.waitFor(() => expect(changes).toHaveLength(2))
    expect(await asked(all)).toBe(2)
  })

  it('of something new evicts refusals alone, and touches no connection', async () => {
    await mayPublish()
    expect(await find('new')).toBeNull()
    tables.addChannel({ route: 'new' })
    await announce(server.bus, { operation: 'channel.create', domain_id: channel.domainId, entity_id: 'x' })
    await vi.waitFor(async () => expect(await find('new')).not.toBeNull())
    expect(changes).toEqual([])
    expect(await asked(mayPublish)).toBe(0)
  })

  it('that cannot be read is logged and harms nothing', async () => {
    server.bus.connection.publish('events._.x', '{"operation":')
    await disconnect()
    await vi.waitFor(() => expect(changes).toHaveLength(1))
    expect(server.lines.join()).toContain('event could not be taken')
  })
})

describe('a reconnect', () => {
  it('evicts everything and touches every connection', async () => {
    await mayPublish()
    await authenticate()
    await server.bus.connection.reconnect()
    await vi.waitFor(() => expect(changes).toEqual([{}]), { timeout: 5_000 })
    expect(await asked(() => Promise.all([mayPublish(), authenticate()]))).toBe(2)
  })
})

describe('a process without a database', () => {
  it('asks another over the bus and gets the same answers', async () => {
    const service = serveBackend(server.bus, tables)
    await service.ready
    const remote = createRemoteBackend(await server.connect())
    expect(await remote.findChannel({ channel: channel.id })).toEqual({
      domainId: channel.domainId,
      channelId: channel.id,
    })
    expect(await remote.findChannel({ domain: 'nowhere', channel: 'x' })).toBeNull()
    expect(
      await remote.authenticate({ kind: 'secret', domainId: client.domainId, secret: client.secret }),
    ).toEqual(principal)
    expect(await remote.authenticate({ kind: 'token', token: 'x' })).toBeNull()
    expect(await remote.authorize({ principal, channelId: channel.id, action: 'publish' })).toBe(true)
    tables.gate = () => Promise.reject(new Unavailable('database away'))
    await expect(remote.findChannel({ channel: 'x' })).rejects.toMatchObject({ kind: 'unavailable' })
    await service.stop()
    await expect(remote.findChannel({ channel: 'x' })).rejects.toThrow(Unavailable)
  })
})
