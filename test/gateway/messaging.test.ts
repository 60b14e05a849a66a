import mqtt from 'mqtt'
import type { IClientOptions, MqttClient } from 'mqtt'
import { connect as connectNats } from 'nats'
import type { NatsConnection } from 'nats'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

let gateway: TestGateway
let api: Api
let nats: NatsConnection
beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
  nats = await connectNats({ servers: gateway.ground.natsUrl })
})
afterAll(async () => {
  await nats.close()
  await gateway.stop()
})

type Site = Awaited<ReturnType<Api['given']['site']>>

async function connectMqtt(
  site: Site,
  options: IClientOptions = {},
  url = gateway.mqttUrl,
): Promise<MqttClient> {
  return mqtt.connectAsync(url, {
    username: site.client.id,
    password: site.secret,
    reconnectPeriod: 0,
    ...options,
  })
}

async function openSocket(site: Site, path = site.topic): Promise<{ socket: WebSocket; frames: Buffer[] }> {
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/${path}`, {
    headers: { authorization: site.auth },
  })
  const frames: Buffer[] = []
  socket.on('message', (data) => frames.push(data as Buffer))
  await new Promise((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', reject)
  })
  return { socket, frames }
}

/** The values that are stored of a site's channel. */
async function stored(site: Site): Promise<Record<string, unknown>[]> {
  const { body } = await api.expect(
    200,
    'GET',
    `/${site.domain.id}/channels/${site.channel.id}/messages?limit=1000`,
    {
      token: site.token,
    },
  )
  return body.messages
}

describe('a message', () => {
  it('over each protocol reaches subscribers of every protocol, bytes untouched, and is stored once', async () => {
    const site = await api.given.site()
    const v311 = await connectMqtt(site, { protocolVersion: 4 })
    const v5 = await connectMqtt(site, { protocolVersion: 5 })
    const overWs = await connectMqtt(site, {}, `${gateway.url.replace('http', 'ws')}/mqtt`)
    const seen: Record<string, string[]> = { v311: [], v5: [], overWs: [] }
    for (const [name, client] of Object.entries({ v311, v5, overWs })) {
      client.on('message', (topic, payload) => seen[name]?.push(`${topic} ${payload.toString()}`))
      await client.subscribeAsync(`${site.topic}/#`, { qos: 1 })
    }
    const { socket, frames } = await openSocket(site)
    const direct: string[] = []
    nats.subscribe(`m.${site.domain.id}.c.${site.channel.id}.>`, {
      callback: (_error, msg) => direct.push(`${msg.subject} ${msg.string()}`),
    })
    await nats.flush()

    // White space that any re-encoding would lose.
    const pack = (value: number) => `[ {"n":"t","u":"Cel", "v":${value}} ]`
    const type = 'application/senml+json'
    await api.expect(202, 'POST', `/${site.topic}/floor.1/http`, { auth: site.auth, body: pack(1), type })
    await v311.publishAsync(`${site.topic}/floor.1/mqtt`, pack(2), { qos: 1 })
    await v5.publishAsync(`${site.topic}/floor.1/mqtt5`, pack(3), {
      qos: 2,
      properties: { contentType: type },
    })
    const writer = await openSocket(site, `${site.topic}/floor.1/ws`)
    writer.socket.send(pack(4))

    const expected = ['http', 'mqtt', 'mqtt5', 'ws'].map(
      (level, i) => `${site.topic}/floor.1/${level} ${pack(i + 1)}`,
    )
    for (const name of ['v311', 'v5', 'overWs']) {
      await eventually(`${name} sees all`, () => seen[name]?.length === 4)
      expect(seen[name]?.sort()).toEqual(expected)
    }
    await eventually('NATS sees all', () => direct.length === 4)
    expect(direct[0]).toBe(`m.${site.domain.id}.c.${site.channel.id}.floor%2E1.http ${pack(1)}`)
    // The socket listens on the channel itself: what was sent below it is not for it.
    expect(frames).toHaveLength(0)
    await eventually('all is stored', async () => (await stored(site)).length === 4)
    const rows = await stored(site)
    const facts = rows.map((row) => [row.protocol, row.subtopic, row.value, row.publisher].join(' '))
    expect(facts.sort()).toEqual([
      `http floor.1/http 1 ${site.client.id}`,
      `mqtt floor.1/mqtt 2 ${site.client.id}`,
      `mqtt floor.1/mqtt5 3 ${site.client.id}`,
      `ws floor.1/ws 4 ${site.client.id}`,
    ])
    for (const client of [v311, v5, overWs]) await client.endAsync()
    for (const one of [socket, writer.socket]) one.terminate()
  })

  it('comes back to the WebSocket that sent it, as a binary frame of its bytes', async () => {
    const site = await api.given.site()
    const { socket, frames } = await openSocket(site)
    socket.send('[{"n":"x","v":1}]')
    await eventually('the frame', () => frames.length === 1)
    expect(frames[0]?.toString()).toBe('[{"n":"x","v":1}]')
    socket.terminate()
  })

  it('is addressed by routes as by ids, and in the older form', async () => {
    const { token } = await api.given.person()
    const domain = await api.given.domain(token, { route: 'plant-7' })
    const channel = await api.given.channel(token, domain.id, { route: 'air' })
    const client = await api.given.client(token, domain.id)
    await api.given.connection(token, domain.id, channel.id, client.id)
    const secret = client.credentials.secret
    const listener = await mqtt.connectAsync(gateway.mqttUrl, { username: client.id, password: secret })
    const topics: string[] = []
    listener.on('message', (topic) => topics.push(topic))
    for (const filter of ['m/plant-7/c/air/#', `channels/${channel.id}/messages/+`])
      await listener.subscribeAsync(filter)
    for (const path of [
      '/m/plant-7/c/air/x',
      `/http/m/${domain.id}/c/air/x`,
      `/channels/${channel.id}/messages/x`,
      `/http/channels/${channel.id}/messages/x`,
      `/c/${channel.id}/m/x`,
    ]) {
      await api.expect(202, 'POST', path, {
        auth: `Client ${secret}`,
        body: '{"a":1}',
        type: 'application/json',
      })
    }
    await eventually('every message under both filters', () => topics.length === 10)
    expect(new Set(topics)).toEqual(new Set(['m/plant-7/c/air/x', `channels/${channel.id}/messages/x`]))
    await listener.endAsync()
  })

  it('of a user is published with the token, and says who', async () => {
    const site = await api.given.site()
    await api.expect(202, 'POST', `/${site.topic}`, {
      token: site.token,
      body: '[{"n":"x","v":1}]',
      type: 'application/senml+json',
    })
    const rows = await eventually('it is stored', async () => {
      const found = await stored(site)
      return found.length === 1 && found
    })
    expect(rows[0]?.publisher).toBe(site.person.id)
  })

  it('from a NATS client that knows nothing of us is delivered and stored', async () => {
    const site = await api.given.site()
    nats.publish(`m.${site.domain.id}.c.${site.channel.id}.edge`, '[{"n":"x","v":7}]')
    const rows = await eventually('it is stored', async () => {
      const found = await stored(site)
      return found.length === 1 && found
    })
    expect(rows[0]).toMatchObject({ protocol: 'nats', subtopic: 'edge', value: 7 })
    expect(rows[0]).not.toHaveProperty('publisher')
  })
})

describe('a device', () => {
  it('may do just what it is connected for', async () => {
    const site = await api.given.site()
    const reader = await api.given.client(site.token, site.domain.id)
    await api.given.connection(site.token, site.domain.id, site.channel.id, reader.id, ['subscribe'])
    const auth = `Client ${reader.credentials.secret}`
    const publish = await api.call('POST', `/${site.topic}`, { auth, body: '{}', type: 'application/json' })
    expect(publish.status).toBe(403)
    await api.expect(200, 'GET', `/channels/${site.channel.id}/messages`, { auth })
    const writer = await api.given.client(site.token, site.domain.id)
    await api.given.connection(site.token, site.domain.id, site.channel.id, writer.id, ['publish'])
    const other = await mqtt.connectAsync(gateway.mqttUrl, {
      username: writer.id,
      password: writer.credentials.secret,
    })
    await expect(other.subscribeAsync(site.topic)).rejects.toThrow()
    await other.publishAsync(site.topic, '{}', { qos: 1 })
    await other.endAsync()
  })

  it.each([
    ['a wrong secret', (site: Site) => ({ username: site.client.id, password: 'wrong' })],
    ['another client’s id', (site: Site) => ({ username: site.person.id, password: site.secret })],
    ['no credentials', () => ({})],
  ])('does not come in over MQTT with %s', async (_what, login) => {
    const site = await api.given.site()
    await expect(mqtt.connectAsync(gateway.mqttUrl, { reconnectPeriod: 0, ...login(site) })).rejects.toThrow()
  })

  it('cannot take over the session of another client that has the same MQTT identifier', async () => {
    const site = await api.given.site()
    const second = await api.given.client(site.token, site.domain.id)
    const first = await connectMqtt(site, { clientId: 'same' })
    const other = await mqtt.connectAsync(gateway.mqttUrl, {
      username: second.id,
      password: second.credentials.secret,
      clientId: 'same',
    })
    await first.publishAsync(site.topic, '{}', { qos: 1 })
    expect(first.connected).toBe(true)
    for (const client of [first, other]) await client.endAsync()
  })
})
