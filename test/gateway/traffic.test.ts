import { randomUUID } from 'node:crypto'
import mqtt from 'mqtt'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { createRemoteSink } from '../../adapters/traffic-rpc.ts'
import { connectBus } from '../../platform/bus/connect.ts'
import { createLogger } from '../../platform/log.ts'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startGround, startTestGateway } from '../support/gateway.ts'
import type { Ground, TestGateway } from '../support/gateway.ts'

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

const becomes = (site: Site, subscriptions: number, out: number) =>
  eventually(`${subscriptions} subscriptions, ${out} messages`, async () => {
    const found = await telemetry(site)
    return found.subscriptions === subscriptions && found.out === out
  })

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

  it('counts a report that comes twice once, and no subscriptions of a process that is gone', async () => {
    const site = await api.given.site()
    const bus = await connectBus({ servers: ground.natsUrl, name: 'test', log: createLogger('fatal') })
    onTestFinished(() => bus.drain())
    const sink = createRemoteSink(bus)
    const node = randomUUID()
    const clients = [{ clientId: site.client.id, delivered: 4, subscriptions: 2 }]
    await sink.report({ node, number: 1, clients })
    await sink.report({ node, number: 1, clients })
    expect(await telemetry(site)).toEqual({ subscriptions: 2, out: 4 })
    await sink.report({ node, number: 2, clients: [{ ...clients[0]!, subscriptions: 0 }] })
    expect(await telemetry(site)).toEqual({ subscriptions: 0, out: 8 })
    await sink.report({ node, number: 3, clients })
    await ground.query(`update adapter_nodes set seen_at = now() - interval '1 minute' where id = $1`, [node])
    expect(await telemetry(site)).toEqual({ subscriptions: 0, out: 12 })
  })

  it('stands a report of nonsense, and of two processes about the same clients at once', async () => {
    const bus = await connectBus({ servers: ground.natsUrl, name: 'test', log: createLogger('fatal') })
    onTestFinished(() => bus.drain())
    const sink = createRemoteSink(bus)
    const bad = { node: 'x', number: 1, clients: [] }
    await expect(sink.report(bad)).rejects.toThrow()
    const site = await api.given.site()
    const ids = [site.client.id, ...Array.from({ length: 500 }, () => randomUUID())]
    const report = (clientIds: string[]) =>
      sink.report({
        node: randomUUID(),
        number: 1,
        clients: clientIds.map((clientId) => ({ clientId, delivered: 1, subscriptions: 1 })),
      })
    await Promise.all(Array.from({ length: 10 }, (_, i) => report(i % 2 ? ids : ids.toReversed())))
    expect(await telemetry(site)).toEqual({ subscriptions: 10, out: 10 })
  })
})
