import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

let gateway: TestGateway
let api: Api
beforeAll(async () => {
  gateway = await startTestGateway({
    SLUICE_MAX_CLIENT_MESSAGES_PER_S: '1',
    SLUICE_MAX_LISTENER_CONNECTS_PER_S: '3',
    SLUICE_MAX_TOPIC_LEVELS: '6',
  })
  api = createApi(gateway.url)
})
afterAll(() => gateway.stop())

const metrics = async () => (await fetch(`${gateway.url}/metrics`)).text()

describe('a client over its rate of messages', () => {
  it('gets 429 over HTTP, with the time after which to come back', async () => {
    const site = await api.given.site()
    const publish = () =>
      fetch(`${gateway.url}/${site.topic}`, {
        method: 'POST',
        headers: { authorization: site.auth, 'content-type': 'application/json' },
        body: '{}',
      })
    let answer = await publish()
    expect(answer.status).toBe(202)
    while (answer.status === 202) answer = await publish()
    expect(answer.status).toBe(429)
    expect(answer.headers.get('retry-after')).toBe('1')
    expect(await answer.json()).toEqual({
      error: 'client_message_rate',
      message: 'too many messages; try again later',
    })
    expect(await metrics()).toMatch(/sluice_refused_total\{protocol="http",reason="client_message_rate"\} \d/)
  })

  it('is closed with 1013 over WebSocket', async () => {
    const site = await api.given.site()
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/${site.topic}`, {
      headers: { authorization: site.auth },
    })
    await new Promise((resolve) => socket.once('open', resolve))
    const closed = new Promise((resolve) => socket.once('close', resolve))
    for (let frame = 0; frame < 100; frame += 1) socket.send('{}')
    expect(await closed).toBe(1013)
  })
})

describe('new WebSockets over their rate', () => {
  it('get 429 in answer to the handshake', async () => {
    const site = await api.given.site()
    const open = () =>
      new Promise<number | undefined>((resolve) => {
        const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/${site.topic}`, {
          headers: { authorization: site.auth },
        })
        socket.once('open', () => resolve(101))
        socket.once('unexpected-response', (_request, response) => resolve(response.statusCode))
        socket.on('error', () => undefined)
      })
    const answers = await Promise.all(Array.from({ length: 50 }, open))
    expect(answers).toContain(429)
    expect(new Set(answers)).toEqual(new Set([101, 429]))
  })
})

describe('a topic deeper than configured', () => {
  it('is refused over HTTP', async () => {
    const site = await api.given.site()
    const { status, body } = await api.call('POST', `/${site.topic}/a/b/c`, {
      auth: site.auth,
      body: '{}',
      type: 'application/json',
    })
    expect([status, body]).toEqual([400, { error: 'invalid_topic', message: 'topic has more than 6 levels' }])
  })
})
