import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { startGround, startTestGateway } from '../support/gateway.ts'
import type { Ground, TestGateway } from '../support/gateway.ts'
import { openEventStream } from '../support/sse.ts'

/** Long enough to connect with, short enough to wait for; and before the reader asks again of its own accord. */
const TOKEN_S = 5

let ground: Ground
let near: TestGateway
/** On the same ground: what it issues, the others take. */
let brief: TestGateway
let far: TestGateway
let api: Api
beforeAll(async () => {
  ground = await startGround()
  near = await startTestGateway({}, ground)
  brief = await startTestGateway({ SLUICE_ACCESS_TOKEN_S: String(TOKEN_S), SLUICE_ROLES: 'api' }, ground)
  far = await startTestGateway({ SLUICE_ROLES: 'http,mqtt,ws', SLUICE_DATABASE_URL: '' }, ground)
  api = createApi(near.url)
})
afterAll(async () => {
  await far.stop()
  await brief.stop()
  await near.stop()
  await ground.stop()
})

type Site = Awaited<ReturnType<Api['given']['site']>>

const accessToken = async ({ person }: Site) =>
  (await createApi(brief.url).signIn(person.username, person.password)).token

async function personalToken({ token, domain, channel }: Site) {
  const { body: pat } = await api.expect(201, 'POST', '/pats', {
    token,
    body: { name: 'robot', duration: `${TOKEN_S}s` },
  })
  const scopes = ['publish', 'subscribe'].map((operation) => ({
    entity_type: 'messages',
    domain_id: domain.id,
    entity_id: channel.id,
    operation,
  }))
  await api.expect(200, 'PATCH', `/pats/${pat.id}/scope/add`, { token, body: { scopes } })
  return pat.secret as string
}

async function openSocket(gateway: TestGateway, { topic }: Site, authorization: string) {
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/${topic}`, {
    headers: { authorization },
  })
  onTestFinished(() => socket.terminate())
  const closed = new Promise<number>((resolve) => socket.once('close', resolve))
  await new Promise((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', reject)
  })
  return { socket, closed }
}

describe.each([
  ['an access token', accessToken],
  ['a personal access token', personalToken],
])('when %s ends', (_what, tokenFor) => {
  it('the WebSockets that came in with it are closed with 1008, on every node; others stay', async () => {
    const site = await api.given.site()
    const lasting = await openSocket(near, site, site.auth)
    const authorization = `Bearer ${await tokenFor(site)}`
    const sockets = await Promise.all([near, far].map((gateway) => openSocket(gateway, site, authorization)))
    expect(await Promise.all(sockets.map(({ closed }) => closed))).toEqual([1008, 1008])
    expect(lasting.socket.readyState).toBe(WebSocket.OPEN)
  })

  it('the live tails that came in with it end', async () => {
    const site = await api.given.site()
    const path = `/${site.domain.id}/channels/${site.channel.id}/messages/live`
    const stream = await openEventStream(near.url + path, { authorization: `Bearer ${await tokenFor(site)}` })
    onTestFinished(() => stream.close())
    expect(stream.status).toBe(200)
    await stream.ended
    expect(stream.events.at(-1)).toMatchObject({ type: 'end', data: { error: 'revoked' } })
  })
})
