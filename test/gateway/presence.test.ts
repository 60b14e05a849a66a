import { randomUUID } from 'node:crypto'
import mqtt from 'mqtt'
import type { IClientOptions, MqttClient } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { createRemoteSink } from '../../adapters/traffic-rpc.ts'
import { connectBus } from '../../platform/bus/connect.ts'
import type { Bus } from '../../platform/bus/connect.ts'
import { createNodes } from '../../platform/bus/nodes.ts'
import type { PresenceEvent } from '../../platform/bus/presence.ts'
import { createLogger } from '../../platform/log.ts'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { startNode } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { startGround, startTestGateway } from '../support/gateway.ts'
import type { Ground, TestGateway } from '../support/gateway.ts'

/** Longer than a process may be silent, and those who watch take to see it. */
const LEASE_MS = 40_000

let ground: Ground
let near: TestGateway
let far: TestGateway
let bus: Bus
let api: Api
beforeAll(async () => {
  ground = await startGround()
  near = await startTestGateway({}, ground)
  far = await startTestGateway({ SLUICE_ROLES: 'http,mqtt,ws', SLUICE_DATABASE_URL: '' }, ground)
  bus = await listen()
  api = createApi(near.url)
})
afterAll(async () => {
  await bus.drain()
  await far.stop()
  await near.stop()
  await ground.stop()
})

const listen = (on = ground) => connectBus({ servers: on.natsUrl, name: 'test', log: createLogger('fatal') })

type Site = Awaited<ReturnType<typeof givenSite>>

/** A site, and what is announced of its clients. */
async function givenSite(place: { api: Api; bus: Bus } = { api, bus }) {
  const { api, bus } = place
  const site = await api.given.site()
  const events: PresenceEvent[] = []
  const subscription = bus.connection.subscribe(`presence.${site.domain.id}.*`, {
    callback: (_error, msg) => events.push(msg.json<PresenceEvent>()),
  })
  onTestFinished(() => subscription.unsubscribe())
  await bus.flush()
  return { ...site, ...place, events }
}

async function read({ api, domain, client, token }: Site): Promise<Record<string, unknown>> {
  return (await api.expect(200, 'GET', `/${domain.id}/clients/${client.id}`, { token })).body
}

/** Waits until the client is seen so, and for all that was announced until then. */
async function becomes(site: Site, state: Record<string, unknown>, withinMs?: number) {
  const has = (client: Record<string, unknown>) =>
    Object.entries(state).every(([name, value]) => client[name] === value)
  const found = await eventually(
    JSON.stringify(state),
    async () => {
      const client = await read(site)
      return has(client) && client
    },
    withinMs,
  )
  await site.bus.flush()
  return found
}

const told = ({ events }: Site) =>
  events.map(({ event, protocol, connections }) => `${event} ${protocol} ${connections}`)

async function connect(url: string, site: Site, options: IClientOptions = {}): Promise<MqttClient> {
  const { client, secret } = site
  const device = await mqtt.connectAsync(url, {
    username: client.id,
    password: secret,
    reconnectPeriod: 0,
    ...options,
  })
  device.on('error', () => undefined)
  onTestFinished(() => device.endAsync(true))
  return device
}

async function openSocket({ url }: { url: string }, { topic, auth }: Site): Promise<WebSocket> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/${topic}`, { headers: { authorization: auth } })
  socket.on('error', () => undefined)
  onTestFinished(() => socket.terminate())
  await new Promise((resolve) => socket.once('open', resolve))
  return socket
}

describe('a client', () => {
  it('that was never there is not connected, and has no time at which it was seen', async () => {
    const { client } = await givenSite()
    expect(client.connected).toBe(false)
    expect(client).not.toHaveProperty('last_seen')
    expect(client).not.toHaveProperty('protocol')
  })

  it('is connected while it speaks MQTT, and was last seen when it went', async () => {
    const site = await givenSite()
    const before = Date.now()
    const device = await connect(near.mqttUrl, site)
    const { last_seen: seen } = await becomes(site, { connected: true, protocol: 'mqtt' })
    expect(Date.parse(seen as string)).toBeGreaterThanOrEqual(before)
    await device.endAsync()
    const { last_seen: seenLast } = await becomes(site, { connected: false, protocol: 'mqtt' })
    expect(Date.parse(seenLast as string)).toBeGreaterThanOrEqual(Date.parse(seen as string))
    expect(told(site)).toEqual(['connected mqtt 1', 'disconnected mqtt 0'])
    const [connected, disconnected] = site.events
    const who = { client_id: site.client.id, domain_id: site.domain.id, node: connected?.node }
    expect(connected).toMatchObject({ ...who, node: expect.any(String) })
    expect(disconnected).toMatchObject({ ...who, at: seenLast })
  })

  it('is connected while it has a WebSocket, to a process without a database too', async () => {
    const site = await givenSite()
    const socket = await openSocket(far, site)
    await becomes(site, { connected: true, protocol: 'ws' })
    socket.close()
    await becomes(site, { connected: false, protocol: 'ws' })
    expect(told(site)).toEqual(['connected ws 1', 'disconnected ws 0'])
  })

  it('stays connected as long as one of its connections is left, on whatever process', async () => {
    const site = await givenSite()
    const device = await connect(far.mqttUrl, site)
    await becomes(site, { connected: true, protocol: 'mqtt' })
    const socket = await openSocket(near, site)
    await becomes(site, { connected: true, protocol: 'ws' })
    socket.close()
    await becomes(site, { connected: true, protocol: 'mqtt' })
    await device.endAsync()
    await becomes(site, { connected: false })
    expect(told(site)).toEqual(['connected mqtt 1', 'disconnected mqtt 0'])
  })

  it('is connected after its session was taken over by another process, and by the same', async () => {
    const site = await givenSite()
    const options = { clientId: randomUUID(), clean: false }
    let device: MqttClient | undefined
    for (const { mqttUrl } of [near, far, near, near]) {
      const old = device
      const closed = old && new Promise<void>((resolve) => old.once('close', () => resolve()))
      device = await connect(mqttUrl, site, options)
      await closed
    }
    await becomes(site, { connected: true })
    const nodes = await eventually('one connection is left', async () => {
      const { rows } = await ground.query(
        'select node_id, connections from live_connections where client_id = $1',
        [site.client.id],
      )
      return rows.length === 1 && rows[0]?.connections === 1 && rows
    })
    await becomes(site, { connected: true })
    expect(site.events.at(-1)).toMatchObject({ event: 'connected' })
    await device?.endAsync()
    await becomes(site, { connected: false })
    expect(site.events.at(-1)).toMatchObject({ event: 'disconnected', node: nodes[0]?.node_id })
    const words = site.events.map(({ event }) => event)
    words.forEach((word, i) => expect(word).toBe(i % 2 === 0 ? 'connected' : 'disconnected'))
  })

  it('that comes and goes in no time was there', async () => {
    const site = await givenSite()
    for (let i = 0; i < 3; i += 1) {
      const device = await connect(far.mqttUrl, site)
      await device.endAsync()
    }
    await eventually('all is told', async () => {
      const { connected, last_seen: seen } = await read(site)
      await bus.flush()
      return connected === false && seen !== undefined && seen === site.events.at(-1)?.at
    })
    expect(site.events.length).toBeGreaterThanOrEqual(2)
    const words = site.events.map(({ event }) => event)
    words.forEach((word, i) => expect(word).toBe(i % 2 === 0 ? 'connected' : 'disconnected'))
    expect(words.at(-1)).toBe('disconnected')
  })

  it('that publishes over HTTP is seen, without being connected', async () => {
    const site = await givenSite()
    const publish = async ({ url }: TestGateway) =>
      createApi(url).expect(202, 'POST', `/${site.topic}`, { auth: site.auth, body: [{ n: 'x', v: 1 }] })
    await publish(far)
    const { last_seen: first } = await becomes(site, { connected: false, protocol: 'http' })
    await publish(near)
    await eventually('it is seen later', async () => {
      const { last_seen: last } = await read(site)
      return Date.parse(last as string) > Date.parse(first as string)
    })
    await bus.flush()
    expect(told(site)).toEqual(['seen http 0', 'seen http 0'])
  })

  it('is shown so in lists and in answers to changes', async () => {
    const site = await givenSite()
    const { domain, token, client, channel } = site
    await api.given.client(token, domain.id, { name: 'Never there' })
    await connect(far.mqttUrl, site)
    const { last_seen: seen } = await becomes(site, { connected: true })
    for (const query of ['', `?channel=${channel.id}`, '?order=name&dir=asc']) {
      const { body } = await api.expect(200, 'GET', `/${domain.id}/clients${query}`, { token })
      const listed = body.clients.find((one: { id: string }) => one.id === client.id)
      expect(listed).toMatchObject({ connected: true, protocol: 'mqtt' })
      expect(Date.parse(listed.last_seen)).toBeGreaterThanOrEqual(Date.parse(seen as string))
      for (const other of body.clients) if (other !== listed) expect(other.connected).toBe(false)
    }
    const path = `/${domain.id}/clients/${client.id}`
    const renamed = await api.expect(200, 'PATCH', path, { token, body: { name: 'Boiler' } })
    expect(renamed.body).toMatchObject({ connected: true, protocol: 'mqtt' })
    const disabled = await api.expect(200, 'POST', `${path}/disable`, { token })
    expect(disabled.body).toMatchObject({ connected: true })
    await becomes(site, { status: 'disabled', connected: false })
    expect(told(site)).toEqual(['connected mqtt 1', 'disconnected mqtt 0'])
  })
})

describe('a process that ends', () => {
  it(
    'with kill -9 leaves no client connected but those that are so elsewhere',
    { timeout: 120_000 },
    async () => {
      const doomed = await startNode(ground, 'http,mqtt,ws')
      onTestFinished(() => doomed.stop())
      const [lost, kept] = [await givenSite(), await givenSite()]
      const mqttUrl = `mqtt://127.0.0.1:${doomed.mqttPort}`
      await connect(mqttUrl, lost)
      await openSocket(doomed, lost)
      await connect(mqttUrl, kept)
      await connect(near.mqttUrl, kept)
      await becomes(lost, { connected: true })
      await becomes(kept, { connected: true })
      await eventually('both are told of', async () => {
        const { rows } = await ground.query(
          'select sum(connections)::int as count from live_connections where client_id = any ($1)',
          [[lost.client.id, kept.client.id]],
        )
        return rows[0]?.count === 4
      })
      const { last_seen: before } = await read(lost)
      await doomed.die()
      const { last_seen: seen } = await becomes(lost, { connected: false }, LEASE_MS)
      expect(Date.parse(seen as string)).toBeGreaterThanOrEqual(Date.parse(before as string))
      expect(lost.events.map(({ event }) => event)).toEqual(['connected', 'disconnected'])
      expect(await read(kept)).toMatchObject({ connected: true, protocol: 'mqtt' })
      expect(kept.events.map(({ event }) => event)).toEqual(['connected'])
    },
  )

  it('while nobody watches is found out by the next that does', { timeout: 120_000 }, async () => {
    const own = await startGround()
    onTestFinished(() => own.stop())
    const watcher = await startTestGateway({}, own)
    const [heard, dying] = [await listen(own), await listen(own)]
    onTestFinished(() => heard.drain())
    const site = await givenSite({ api: createApi(watcher.url), bus: heard })
    const nodes = createNodes(dying)
    const seen = { protocol: 'mqtt', atMs: Date.now(), hasConnected: true } as const
    const client = { clientId: site.client.id, delivered: 0, subscriptions: 0, connections: 1, seen }
    await createRemoteSink(dying).report({ node: nodes.id, number: 1, isWhole: true, clients: [client] })
    await becomes(site, { connected: true })
    await watcher.stop()
    await dying.connection.close()
    nodes.stop()
    const next = await startTestGateway({}, own)
    onTestFinished(() => next.stop())
    await becomes({ ...site, api: createApi(next.url) }, { connected: false, protocol: 'mqtt' }, LEASE_MS)
    expect(told(site)).toEqual(['connected mqtt 1', 'disconnected mqtt 0'])
  })
})

describe('a process that is taken for gone and is not', () => {
  it('has its clients connected again as soon as it is heard', { timeout: 120_000 }, async () => {
    const site = await givenSite()
    await openSocket(far, site)
    await becomes(site, { connected: true })
    const node = site.events[0]?.node ?? ''
    const removed = () => site.events.some(({ event }) => event === 'disconnected')
    // Whoever watches believes it once he is up for longer than a lease, and has not just had a report.
    await eventually(
      'its connections are taken off',
      async () => {
        await ground.query(`update adapter_nodes set seen_at = now() - interval '1 minute' where id = $1`, [
          node,
        ])
        bus.connection.publish('nodes.gone', node)
        await bus.flush()
        return removed()
      },
      LEASE_MS,
    )
    await becomes(site, { connected: true, protocol: 'ws' })
    expect(told(site)).toEqual(['connected ws 1', 'disconnected ws 0', 'connected ws 1'])
  })
})
