import { randomUUID } from 'node:crypto'
import mqtt from 'mqtt'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { createRemoteSink } from '../../adapters/traffic-rpc.ts'
import { connectBus } from '../../platform/bus/connect.ts'
import { createNodes } from '../../platform/bus/nodes.ts'
import { createLogger } from '../../platform/log.ts'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startGround, startTestGateway } from '../support/gateway.ts'
import type { Ground, TestGateway } from '../support/gateway.ts'
import { openEventStream } from '../support/sse.ts'

let ground: Ground
let near: TestGateway
let api: Api
const startFar = () => startTestGateway({ SLUICE_ROLES: 'http,mqtt,ws', SLUICE_DATABASE_URL: '' }, ground)
beforeAll(async () => {
  ground = await startGround()
  near = await startTestGateway({}, ground)
  api = createApi(near.url)
})
afterAll(async () => {
  await near.stop()
  await ground.stop()
})

type Site = Awaited<ReturnType<Api['given']['site']>>

async function telemetry({ domain, client, token }: Site): Promise<{ subscriptions: number; out: number }> {
  const path = `/${domain.id}/journal/client/${client.id}/telemetry`
  const { body } = await api.expect(200, 'GET', path, { token })
  return { subscriptions: body.subscriptions, out: body.outbound_messages }
}

const becomes = (site: Site, subscriptions: number, out: number, withinMs?: number) =>
  eventually(
    `${subscriptions} subscriptions, ${out} messages`,
    async () => {
      const found = await telemetry(site)
      return found.subscriptions === subscriptions && found.out === out
    },
    withinMs,
  )

/** What a process without a database has of the rest. */
async function startProcess() {
  const bus = await connectBus({ servers: ground.natsUrl, name: 'test', log: createLogger('fatal') })
  onTestFinished(() => bus.drain())
  const nodes = createNodes(bus)
  onTestFinished(() => nodes.stop())
  return { sink: createRemoteSink(bus), nodes }
}

describe('the telemetry of a client', () => {
  it('counts deliveries and subscriptions over all its connections, on every node', async () => {
    const far = await startFar()
    let isStopped = false
    const stopFar = async () => {
      if (!isStopped) await far.stop()
      isStopped = true
    }
    onTestFinished(stopFar)
    const site = await api.given.site()
    const options = { username: site.client.id, password: site.secret, reconnectPeriod: 0 }
    const device = await mqtt.connectAsync(far.mqttUrl, options)
    onTestFinished(() => device.endAsync(true))
    await device.subscribeAsync([`${site.topic}/a`, `${site.topic}/b`])
    let received = 0
    device.on('message', () => (received += 1))
    const socket = new WebSocket(`${near.url.replace('http', 'ws')}/${site.topic}/%23`, {
      headers: { authorization: site.auth },
    })
    onTestFinished(() => socket.terminate())
    let frames = 0
    socket.on('message', () => (frames += 1))
    await new Promise((resolve) => socket.once('open', resolve))
    for (const level of ['a', 'b', 'c']) {
      await api.expect(202, 'POST', `/${site.topic}/${level}`, { auth: site.auth, body: [{ n: 'x', v: 1 }] })
    }
    await eventually('all have come', () => received === 2 && frames === 3)
    await becomes(site, 3, 5)
    await device.unsubscribeAsync(`${site.topic}/a`)
    await becomes(site, 2, 5)
    await stopFar()
    await becomes(site, 1, 5)
  })

  it('counts the messages of its live reads, one of many records once, and takes them for no presence', async () => {
    const site = await api.given.site()
    const { id } = site.channel
    const live = await openEventStream(`${near.url}/${site.domain.id}/channels/${id}/messages/live`, {
      authorization: site.auth,
    })
    onTestFinished(() => live.close())
    const body = ['a', 'b', 'c'].map((n) => ({ n, v: 1 }))
    await api.expect(202, 'POST', `/${site.topic}`, { token: site.token, body })
    await api.expect(202, 'POST', `/${site.topic}`, { token: site.token, body })
    await live.take(6)
    await becomes(site, 0, 2)
    const path = `/${site.domain.id}/clients/${site.client.id}`
    const { body: client } = await api.expect(200, 'GET', path, { token: site.token })
    expect(client).toMatchObject({ connected: false })
  })

  it('counts a report that comes twice once, and no subscriptions of a process that is gone', async () => {
    const site = await api.given.site()
    const { sink, nodes } = await startProcess()
    const seen = { protocol: 'mqtt', atMs: Date.now(), hasConnected: true } as const
    const client = { clientId: site.client.id, delivered: 4, subscriptions: 2, connections: 1 }
    const common = { node: nodes.id, isWhole: false }
    const first = { ...common, number: 1, isWhole: true, clients: [{ ...client, seen }] }
    expect(await sink.report(first)).toEqual({ wantsAll: false })
    expect(await sink.report(first)).toEqual({ wantsAll: false })
    expect(await telemetry(site)).toEqual({ subscriptions: 2, out: 4 })
    await sink.report({ ...common, number: 2, clients: [{ ...client, subscriptions: 0 }] })
    expect(await telemetry(site)).toEqual({ subscriptions: 0, out: 8 })
    await sink.report({ ...common, number: 3, clients: [client] })
    expect(await telemetry(site)).toEqual({ subscriptions: 2, out: 12 })
    nodes.stop()
    await becomes(site, 0, 12, 40_000)
    // It was there all the time: what it says counts, and it is asked for all that it has.
    const change = { ...common, number: 4, clients: [client] }
    expect(await sink.report(change)).toEqual({ wantsAll: true })
    expect(await sink.report(change)).toEqual({ wantsAll: false })
    const all = { ...common, isWhole: true, clients: [{ ...client, delivered: 0, seen }] }
    expect(await sink.report({ ...all, number: 5 })).toEqual({ wantsAll: false })
    expect(await telemetry(site)).toEqual({ subscriptions: 2, out: 16 })
  })

  it('stands a report of nonsense, and of many processes about the same clients at once', async () => {
    const { sink, nodes } = await startProcess()
    const bad = { node: 'x', number: 1, isWhole: true, clients: [] }
    await expect(sink.report(bad)).rejects.toThrow()
    const site = await api.given.site()
    const { body } = await api.expect(200, 'POST', `/${site.domain.id}/clients/bulk`, {
      token: site.token,
      body: Array.from({ length: 200 }, () => ({ name: 'Sensor' })),
    })
    const others = (body.clients as { id: string }[]).map(({ id }) => id)
    const ids = [site.client.id as string, ...others, ...Array.from({ length: 200 }, () => randomUUID())]
    const seen = { protocol: 'ws', atMs: Date.now(), hasConnected: true } as const
    const rest = { delivered: 1, subscriptions: 1, connections: 1, seen }
    const report = (node: string, clientIds: string[]) =>
      sink.report({
        node,
        number: 1,
        isWhole: true,
        clients: clientIds.map((clientId) => ({ clientId, ...rest })),
      })
    const alive = [
      nodes,
      ...(await Promise.all(Array.from({ length: 9 }, startProcess))).map((one) => one.nodes),
    ]
    await Promise.all(alive.map(({ id }, i) => report(id, i % 2 ? ids : ids.toReversed())))
    expect(await telemetry(site)).toEqual({ subscriptions: 10, out: 10 })
  })
})
