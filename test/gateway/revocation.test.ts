import mqtt from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startGround, startTestGateway } from '../support/gateway.ts'
import type { Ground, TestGateway } from '../support/gateway.ts'

let ground: Ground
let near: TestGateway
let far: TestGateway
beforeAll(async () => {
  ground = await startGround()
  near = await startTestGateway({}, ground)
  // On the other node there are only adapters: no database, everything asked over NATS.
  far = await startTestGateway({ SLUICE_ROLES: 'http,mqtt,ws', SLUICE_DATABASE_URL: '' }, ground)
})
afterAll(async () => {
  await far.stop()
  await near.stop()
  await ground.stop()
})

type Site = Awaited<ReturnType<Api['given']['site']>>
const WITHIN_MS = 1_000

const disconnect = (api: Api, site: Site, types?: string[]) =>
  api.expect(204, 'POST', `/${site.domain.id}/channels/disconnect`, {
    token: site.token,
    body: { channel_ids: [site.channel.id], client_ids: [site.client.id], types },
  })

async function openSocket(gateway: TestGateway, site: Site): Promise<WebSocket> {
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/${site.topic}`, {
    headers: { authorization: site.auth },
  })
  await new Promise((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', reject)
  })
  return socket
}

describe.each([
  ['the process that serves the device', () => near],
  ['another process', () => far],
])('after a disconnect that is seen by %s', (_where, gatewayOf) => {
  it('a live WebSocket is closed with 1008 within a second', async () => {
    const api = createApi(near.url)
    const site = await api.given.site()
    const socket = await openSocket(gatewayOf(), site)
    let code: number | undefined
    socket.on('close', (closeCode) => (code = closeCode))
    await disconnect(api, site)
    await eventually('it is closed', () => code, WITHIN_MS)
    expect(code).toBe(1008)
  })

  it('MQTT delivery stops within a second, and the connection stays', async () => {
    const api = createApi(near.url)
    const site = await api.given.site()
    const other = await api.given.client(site.token, site.domain.id)
    await api.given.connection(site.token, site.domain.id, site.channel.id, other.id)
    const listener = await mqtt.connectAsync(gatewayOf().mqttUrl, {
      username: site.client.id,
      password: site.secret,
      reconnectPeriod: 0,
    })
    let count = 0
    listener.on('message', () => count++)
    await listener.subscribeAsync(site.topic, { qos: 1 })
    const publish = () =>
      api.expect(202, 'POST', `/${site.topic}`, {
        auth: `Client ${other.credentials.secret}`,
        body: '{"a":1}',
        type: 'application/json',
      })
    await publish()
    await eventually('the first message', () => count === 1)
    await disconnect(api, site)
    // Sends until a message no longer arrives: the revocation has come through.
    await eventually(
      'delivery stops',
      async () => {
        const before = count
        await publish()
        await publish()
        await new Promise((resolve) => setTimeout(resolve, 100))
        return count === before
      },
      WITHIN_MS,
    )
    expect(listener.connected).toBe(true)
    await listener.endAsync()
  })

  it('MQTT and HTTP publishing stop within a second', async () => {
    const api = createApi(near.url)
    const site = await api.given.site()
    const gateway = gatewayOf()
    const device = await mqtt.connectAsync(gateway.mqttUrl, {
      username: site.client.id,
      password: site.secret,
      protocolVersion: 5,
      reconnectPeriod: 0,
    })
    await device.publishAsync(site.topic, '{"a":1}', { qos: 1 })
    await disconnect(api, site, ['publish'])
    await eventually(
      'MQTT refuses',
      () =>
        device.publishAsync(site.topic, '{"a":1}', { qos: 1 }).then(
          () => false,
          () => true,
        ),
      WITHIN_MS,
    )
    const answer = await createApi(gateway.url).call('POST', `/${site.topic}`, {
      auth: site.auth,
      body: '{"a":1}',
      type: 'application/json',
    })
    expect(answer.status).toBe(403)
    await device.endAsync(true)
  })
})

describe('connecting again', () => {
  it('lets the device in again at once, also where it was refused before', async () => {
    const api = createApi(near.url)
    const elsewhere = createApi(far.url)
    const site = await api.given.site()
    await disconnect(api, site)
    const publish = async () =>
      (
        await elsewhere.call('POST', `/${site.topic}`, {
          auth: site.auth,
          body: '{}',
          type: 'application/json',
        })
      ).status
    await eventually('it is refused', async () => (await publish()) === 403)
    await api.given.connection(site.token, site.domain.id, site.channel.id, site.client.id)
    await eventually('it is let in', async () => (await publish()) === 202, WITHIN_MS)
  })
})
