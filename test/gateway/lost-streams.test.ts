import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import mqtt from 'mqtt'
import type { MqttClient } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startGround, startTestGateway } from '../support/gateway.ts'
import type { Ground, TestGateway } from '../support/gateway.ts'
import { captureLog } from '../support/log.ts'
import { freePort, startTestNats } from '../support/nats.ts'
import type { TestNats } from '../support/nats.ts'

const { log, lines } = captureLog()
let folder: string
let port: number
let nats: TestNats
let ground: Ground
let gateway: TestGateway
let api: Api
let site: Awaited<ReturnType<Api['given']['site']>>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-lost-streams-'))
  port = await freePort()
  nats = await startTestNats({ port, dir: folder })
  ground = await startGround()
  gateway = await startTestGateway({}, { ...ground, natsUrl: nats.url }, log)
  api = createApi(gateway.url)
  site = await api.given.site()
})
afterAll(async () => {
  await gateway.stop()
  await ground.stop()
  await nats.stop()
  await rm(folder, { recursive: true, force: true })
})

/** `kill -9` of nats-server, whose disk is another one when it comes back. */
async function loseStreams(): Promise<void> {
  await nats.stop()
  await rm(folder, { recursive: true })
  await mkdir(folder)
  nats = await startTestNats({ port, dir: folder })
}

async function publish(value: number): Promise<number> {
  const answer = await api.call('POST', `/${site.topic}`, { auth: site.auth, body: [{ n: 't', v: value }] })
  return answer.status
}

/** All numbers that are stored, in order, as often as they are. */
async function stored(): Promise<number[]> {
  const path = `/${site.domain.id}/channels/${site.channel.id}/messages?limit=100`
  const { body } = await api.expect(200, 'GET', path, { token: site.token })
  return (body.messages as { value: number }[]).map(({ value }) => value).sort((a, b) => a - b)
}

async function connect(clientId: string, clean: boolean): Promise<MqttClient> {
  const client = await mqtt.connectAsync(gateway.mqttUrl, {
    clientId,
    clean,
    username: site.client.id as string,
    password: site.secret,
    protocolVersion: 5,
    ...(clean ? {} : { properties: { sessionExpiryInterval: 3_600 } }),
    reconnectPeriod: 50,
  })
  onTestFinished(() => client.endAsync(true))
  return client
}

/** What a subscriber who comes now is given as retained. */
async function findRetained(): Promise<string[]> {
  const client = await connect('looks-for-retained', true)
  const found: string[] = []
  client.on('message', (_topic, payload, { retain }) => retain && found.push(payload.toString()))
  await client.subscribeAsync(`${site.topic}/state/#`, { qos: 1 })
  // Retained messages come before the answer to what is published behind them.
  await client.publishAsync(`${site.topic}/other`, '{"x":1}', { qos: 1 })
  await eventually('retained messages had their time', () => found.length > 0, 2_000).catch(() => undefined)
  await client.endAsync(true)
  return found
}

describe('a NATS that comes back without its streams', () => {
  it('gets them again, is told of once a stream at level error, and everything goes on', async () => {
    const session = await connect('has-a-session', false)
    const received: string[] = []
    session.on('message', (_topic, payload) => received.push(payload.toString()))
    await session.subscribeAsync(`${site.topic}/events`, { qos: 1 })
    // The new stream of retained messages is to be shorter than the one that the gateway has read.
    for (const state of ['a', 'b', 'c'])
      await session.publishAsync(`${site.topic}/state/${state}`, `"${state}"`, { qos: 1, retain: true })
    for (const value of [1, 2, 3]) expect(await publish(value)).toBe(202)
    await eventually('all are stored', async () => (await stored()).length === 3)
    expect((await findRetained()).toSorted()).toEqual(['"a"', '"b"', '"c"'])

    await loseStreams()

    await eventually('messages are acknowledged', async () => (await publish(10)) === 202, 30_000)
    await eventually('and stored', async () => (await stored()).includes(10))
    expect(await publish(11)).toBe(202)
    await eventually('the next as well', async () => (await stored()).includes(11))
    expect((await stored()).slice(0, 3)).toEqual([1, 2, 3])

    await eventually('the session begins anew', async () => {
      if (!session.connected) return false
      await session.subscribeAsync(`${site.topic}/events`, { qos: 1 })
      await session.publishAsync(`${site.topic}/events`, '{"after":1}', { qos: 1 })
      return received.includes('{"after":1}')
    })
    await session.publishAsync(`${site.topic}/state/a`, '"new"', { qos: 1, retain: true })
    await eventually('no other is retained', async () => (await findRetained()).join() === '"new"')

    const told = lines
      .map((line) => JSON.parse(line) as { level: number; msg: string; stream?: string; lost?: string })
      .filter(({ msg }) => msg.includes('made anew, empty'))
    expect(told.map(({ stream }) => stream)).toEqual([
      'messages',
      'events',
      'deadletters',
      'sessions',
      'retained',
    ])
    for (const { level, lost } of told) expect([level, lost]).toEqual([50, expect.stringMatching(/\w/)])
  }, 60_000)
})

describe('a NATS whose JetStream does not answer', () => {
  /** As the server does it by itself when its disk is full. */
  async function restartNats(isJetStreamOn: boolean): Promise<void> {
    await nats.stop()
    nats = await startTestNats({ port, dir: folder, isJetStreamOn })
  }

  const missing = async () => (await api.call('GET', '/readyz')).body.missing as string[] | undefined
  const isAnswering = async () =>
    /^sluice_jetstream_answers (\d)$/m.exec((await api.call('GET', '/metrics')).text)?.[1]
  const said = (words: string) => lines.filter((line) => line.includes(words))

  it('makes the process not ready, is told of once, and is over when it answers', async () => {
    expect([await missing(), await isAnswering()]).toEqual([undefined, '1'])
    await restartNats(false)

    await eventually('readyz names it', async () => (await missing())?.join() === 'jetstream')
    expect(await isAnswering()).toBe('0')
    expect((await api.call('GET', '/health')).status).toBe(503)
    expect((await api.call('GET', '/healthz')).status).toBe(200)

    await restartNats(true)
    await eventually('it is ready again', async () => (await api.call('GET', '/readyz')).status === 200)
    await eventually('and publishes', async () => (await publish(20)) === 202)
    expect(await isAnswering()).toBe('1')
    expect(
      said('JetStream does not answer').map((line) => (JSON.parse(line) as { level: number }).level),
    ).toEqual([50])
    expect(said('JetStream answers again')).toHaveLength(1)
  }, 60_000)
})
