import { Agent, request } from 'node:http'
import type { IncomingHttpHeaders, RequestOptions, Server } from 'node:http'
import { connect } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { createPublish } from '../../../adapters/publish.ts'
import type { Message } from '../../../platform/bus/message.ts'
import type { Publisher } from '../../../platform/bus/publisher.ts'
import { createChannelFeed } from '../../../platform/bus/subscriptions.ts'
import { Unavailable } from '../../../platform/errors.ts'
import type { Metrics } from '../../../platform/metrics.ts'
import type { AuthorityTables } from '../../support/authority.ts'
import type { Channel, Client } from '../../support/authority.ts'
import type { TestBus } from '../../support/bus.ts'
import { MAX_PAYLOAD_BYTES, SENML, startHttpAdapter } from './support.ts'
import type { HttpAdapterUnderTest } from './support.ts'

const PACK = '[{"n":"t","v":21.5}]'

let http: HttpAdapterUnderTest
let bus: TestBus
let publisher: Publisher
let server: Server
let origin: string
let tables: AuthorityTables
let metrics: Metrics
let lines: readonly string[]
let channel: Channel
let client: Client
const received: Message[] = []

beforeAll(async () => {
  http = await startHttpAdapter(1)
  ;({ bus, publisher, server, tables, metrics, lines } = http)
  origin = `http://127.0.0.1:${http.port}`
})

afterAll(() => http.stop())

beforeEach(async () => {
  channel = tables.addChannel({ route: `c-${tables.channels.length}` })
  client = tables.addClient()
  tables.allow(client, channel, 'publish')
  received.length = 0
  const following = createChannelFeed(bus.bus).follow(
    { domainId: channel.domainId, channelId: channel.id },
    (message) => received.push(message),
  )
  await following.ready
  return () => {
    http.intercept = undefined
    following.stop()
  }
})

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  text: string
  json: { error?: string; message?: string }
}

type CallOptions = Omit<RequestOptions, 'headers'> & {
  headers?: Record<string, string>
  body?: string | Buffer
}

function call(path: string, options: CallOptions = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': SENML, authorization: `Client ${client.secret}`, ...options.headers }
    const req = request(origin + path, { method: 'POST', ...options, headers }, (res) => {
      let text = ''
      res.setEncoding('utf8')
      res.on('data', (chunk: string) => (text += chunk))
      res.on('end', () =>
        resolve({
          status: res.statusCode ?? 0,
          headers: res.headers,
          text,
          json: text === '' ? {} : (JSON.parse(text) as Answer['json']),
        }),
      )
    })
    req.on('error', reject)
    req.end(options.body ?? PACK)
  })
}

/** A call with these headers and no others. */
const callWith = (path: string, headers: Record<string, string>): Promise<Answer> =>
  call(path, { headers: { authorization: '', ...headers } })

const topic = (): string => `/m/${channel.domainId}/c/${channel.id}`

describe('a message over HTTP', () => {
  it('is accepted after the stream has it, and reaches subscribers as it was', async () => {
    const body = Buffer.from([1, 2, 0, 255, 13, 10])
    const answer = await call(`${topic()}/floor1/temp`, {
      body,
      headers: { 'content-type': 'Application/Octet-Stream; x=y' },
    })
    expect(answer).toMatchObject({ status: 202, text: '' })
    expect(answer.headers).toMatchObject({ 'content-length': '0', 'access-control-allow-origin': '*' })
    await vi.waitFor(() => expect(received).toHaveLength(1))
    expect(received[0]).toMatchObject({
      domainId: channel.domainId,
      channelId: channel.id,
      levels: ['floor1', 'temp'],
      publisher: client.id,
      protocol: 'http',
      contentType: 'application/octet-stream',
      qos: 0,
      retain: false,
    })
    expect(received[0]?.payload).toEqual(body)
  })

  it.each([
    ['/m/{d}/c/{c}', []],
    ['/m/{d}/c/{c}/', []],
    ['/m/{D}/c/{C}/a', ['a']],
    ['/http/m/{d}/c/{C}/a%2Eb//c/', ['a.b', 'c']],
    ['/channels/{c}/messages', []],
    ['/channels/{c}/messages/x', ['x']],
    ['/http/channels/{c}/messages/x/y', ['x', 'y']],
    ['/c/{c}/m', []],
    ['/http/c/{c}/m/x', ['x']],
  ])('is taken on %s', async (path, levels) => {
    expect((await call(fill(path))).status).toBe(202)
    await vi.waitFor(() => expect(received).toHaveLength(1))
    expect(received[0]?.levels).toEqual(levels)
  })

  it('is taken with the credentials in each of their forms', async () => {
    const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
    for (const authorization of [
      `Client ${client.secret}`,
      `client ${client.secret}`,
      client.secret,
      basic(`${client.id}:${client.secret}`),
      basic(`name:${client.secret}`),
    ]) {
      expect((await callWith(topic(), { authorization })).status, authorization).toBe(202)
      const query = `?authorization=${encodeURIComponent(authorization)}`
      expect((await callWith(topic() + query, {})).status, query).toBe(202)
    }
  })

  it("is taken from a user, whose id is the publisher's", async () => {
    tables.tokens.set('a.b.c', 'user-1')
    tables.allow({ id: 'user-1' }, channel, 'publish')
    expect((await callWith(topic(), { authorization: 'Bearer a.b.c' })).status).toBe(202)
    await vi.waitFor(() => expect(received[0]?.publisher).toBe('user-1'))
  })

  it('is answered in the order of sending when requests are pipelined', async () => {
    const socket = connect({ port: Number(new URL(origin).port), host: '127.0.0.1' })
    let answers = ''
    socket.setEncoding('utf8').on('data', (text: string) => (answers += text))
    const head = (path: string): string =>
      `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: ${SENML}\r\nAuthorization: ${client.secret}\r\nContent-Length: ${PACK.length}\r\n\r\n${PACK}`
    // Refusals are quicker than acknowledgements, and have to wait for them.
    socket.write([topic(), `${topic()}/+`, topic(), topic(), '/m/x/c/y'].map(head).join(''))
    const statuses = (): string[] =>
      [...answers.matchAll(/HTTP\/1.1 (\d+)/g)].map(([, status]) => status ?? '')
    await vi.waitFor(() => expect(statuses()).toEqual(['202', '400', '202', '202', '401']))
    socket.destroy()
  })
})

function fill(path: string): string {
  return path
    .replace('{d}', channel.domainId)
    .replace('{D}', channel.domainRoute)
    .replace('{c}', channel.id)
    .replace('{C}', channel.route)
}

describe('a message that is refused', () => {
  it.each([
    ['no credentials', () => callWith(topic(), {}), 401],
    ['a wrong secret', () => callWith(topic(), { authorization: 'Client wrong' }), 401],
    ['a wrong token', () => callWith(topic(), { authorization: 'Bearer undefined' }), 401],
    ['a secret behind Bearer', () => callWith(topic(), { authorization: `Bearer ${client.secret}` }), 401],
    ['no credentials and a bad path', () => callWith(`${topic()}/+`, {}), 401],
    ['a wildcard', () => call(`${topic()}/%2B`), 400],
    ['a blank', () => call(`${topic()}/a%20b`), 400],
    ['a bad domain', () => call(`/m/a.b/c/${channel.id}`), 400],
    ['an empty body', () => call(topic(), { body: '' }), 400],
    ['broken SenML', () => call(topic(), { body: '[{"broken":1}]' }), 400],
    ['no content type', () => call(topic(), { headers: { 'content-type': '' } }), 415],
    [
      'a form',
      () => call(topic(), { headers: { 'content-type': 'application/x-www-form-urlencoded' } }),
      415,
    ],
    ['too much', () => call(topic(), { body: 'x'.repeat(MAX_PAYLOAD_BYTES + 1) }), 413],
    ['another method', () => call(topic(), { method: 'PUT' }), 405],
  ])('for %s is told so in the form of the contract', async (_why, attempt, status) => {
    const answer = await attempt()
    expect(answer.status).toBe(status)
    expect(answer.json).toEqual({ error: expect.any(String), message: expect.any(String) })
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json',
      'access-control-allow-origin': '*',
      'access-control-expose-headers': 'Location',
    })
    expect(received).toEqual([])
  })

  it('names the record and the field of broken SenML, and lets the same pass as plain JSON', async () => {
    expect((await call(topic(), { body: '[{"broken":1}]' })).json.message).toBe('record 0: n: missing')
    const json = { body: '[{"broken":1}]', headers: { 'content-type': 'application/json' } }
    expect((await call(topic(), json)).status).toBe(202)
  })

  it('because the client is not connected is 403', async () => {
    tables.forbid(client, channel)
    await vi.waitFor(async () => expect((await call(topic())).status).toBe(403))
  })

  it('leaves the connection usable, also when its body was too large or never read', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    let sockets = 0
    server.on('connection', () => (sockets += 1))
    const large = Buffer.alloc(MAX_PAYLOAD_BYTES * 8)
    expect((await call(topic(), { agent, body: large })).status).toBe(413)
    expect((await call(topic(), { agent, body: large, headers: { authorization: 'x' } })).status).toBe(401)
    const chunked = { 'transfer-encoding': 'chunked' }
    expect((await call(topic(), { agent, body: large, headers: chunked })).status).toBe(413)
    expect((await call(topic(), { agent })).status).toBe(202)
    expect(sockets).toBe(1)
    agent.destroy()
  })

  it('ends the connection of who never stops sending', async () => {
    const req = request(origin + topic(), { method: 'POST', headers: { 'content-type': SENML } })
    const answered = new Promise<number>((resolve) =>
      req.on('response', (res) => {
        resolve(res.statusCode ?? 0)
        res.resume()
      }),
    )
    const ended = new Promise((resolve) => req.on('error', resolve).on('close', resolve))
    const chunk = Buffer.alloc(65_536)
    const send = (): void => {
      if (!req.destroyed) req.write(chunk, () => setImmediate(send))
    }
    send()
    expect(await answered).toBe(401)
    await ended
  })

  it('survives a client that goes away in the middle of a body', async () => {
    const before = metrics.refused('http', 'aborted').value
    const headers = { 'content-type': SENML, authorization: client.secret, 'content-length': '100' }
    const req = request(origin + topic(), { method: 'POST', headers })
    req.on('error', () => undefined)
    req.write('[{')
    const asked = tables.asked
    await vi.waitFor(() => expect(tables.asked).toBeGreaterThan(asked))
    req.destroy()
    await vi.waitFor(() => expect(metrics.refused('http', 'aborted').value).toBe(before + 1))
    expect((await call(topic())).status).toBe(202)
  })
})

describe('a channel that does not exist', () => {
  const unknown = '00000000-0000-4000-8000-000000000000'
  const status = async (path: string, authorization = `Client ${client.secret}`): Promise<number> =>
    (await callWith(path, { authorization })).status
  const basic = (): string => `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}`

  it('is 404 to a client of the domain', async () => {
    expect(await status(`/m/${tables.domainId}/c/${unknown}`)).toBe(404)
    expect(await status(`/m/${tables.domainId}/c/no-such`, basic())).toBe(404)
    expect(await status(`/m/${tables.domainRoute}/c/no-such`)).toBe(404)
  })

  it('looks like any other to who has no good credentials', async () => {
    expect(await status(`/m/${tables.domainId}/c/${unknown}`, 'Client wrong')).toBe(401)
    expect(await status(`/channels/${unknown}/messages`, 'Client wrong')).toBe(401)
    expect(await status(`/m/no-such/c/no-such`)).toBe(401)
  })

  it('looks like one that is not theirs to everybody else', async () => {
    const foreign = tables.addChannel({ domainId: unknown, domainRoute: 'foreign', route: 'secret-plan' })
    tables.tokens.set('x.y.z', 'somebody')
    for (const authorization of [basic(), 'Bearer x.y.z']) {
      expect(await status(`/m/foreign/c/${foreign.route}`, authorization)).toBe(403)
      expect(await status(`/m/foreign/c/no-such`, authorization)).toBe(403)
    }
    expect(await status(`/m/foreign/c/${foreign.route}`)).toBe(401)
    expect(await status(`/m/foreign/c/no-such`)).toBe(401)
  })
})

describe('POST /publish', () => {
  const envelope = (fields: object = {}): string =>
    JSON.stringify({
      topic: `m/${channel.domainId}/c/${channel.id}/a`,
      payload: Buffer.from(PACK).toString('base64'),
      qos: 0,
      retain: false,
      ...fields,
    })
  const post = (body: string, headers: Record<string, string> = {}, path = '/publish'): Promise<Answer> =>
    call(path, {
      body,
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${client.secret}`,
        'x-fluxmq-username': channel.domainId,
        ...headers,
      },
    })

  it.each(['/publish', '/publish/', '/http/publish'])(
    'on %s answers 200 when the stream has it',
    async (path) => {
      expect(await post(envelope({ qos: 1, retain: true }), {}, path)).toMatchObject({
        status: 200,
        text: '',
      })
      await vi.waitFor(() => expect(received).toHaveLength(1))
      expect(received[0]).toMatchObject({ levels: ['a'], publisher: client.id, qos: 1, retain: true })
      expect(Buffer.from(received[0]?.payload ?? []).toString()).toBe(PACK)
    },
  )

  it('finds the domain in the topic when the header does not name it', async () => {
    const asClient = { authorization: `Client ${client.secret}`, 'x-fluxmq-username': '' }
    const answer = await call('/publish', {
      body: envelope(),
      headers: { 'content-type': 'application/json', authorization: asClient.authorization },
    })
    expect(answer.status).toBe(200)
    // Before that a stranger may send no more than a topic and a small message.
    const large = envelope({ payload: 'A'.repeat(20_000) })
    expect((await call('/publish', { body: large })).status).toBe(413)
    expect((await post(large)).status).toBe(200)
  })

  it.each([
    ['a wrong secret', () => post(envelope(), { authorization: 'Bearer wrong' }), 401, /credentials/],
    ['malformed JSON', () => post('{"topic'), 400, /malformed JSON/],
    ['a missing topic', () => post(envelope({ topic: undefined })), 400, /^topic: /],
    ['a bad payload', () => post(envelope({ payload: '!!' })), 400, /^payload: must be base64/],
    ['an empty payload', () => post(envelope({ payload: '' })), 400, /^payload: empty/],
    ['a bad qos', () => post(envelope({ qos: 3 })), 400, /^qos: /],
    [
      'a wildcard',
      () => post(envelope({ topic: `m/${channel.domainId}/c/${channel.id}/#` })),
      400,
      /wildcard/,
    ],
    ['another topic', () => post(envelope({ topic: 'a/b' })), 400, /topic is not of the form/],
    ['too much', () => post(envelope({ payload: 'A'.repeat(MAX_PAYLOAD_BYTES * 1.5) })), 413, /limit/],
  ])('refuses %s', async (_why, attempt, status, message) => {
    const answer = await attempt()
    expect(answer.status).toBe(status)
    expect(answer.json.message).toMatch(message)
  })
})

describe('the other paths', () => {
  it('POST /hc/<domain> answers 200 to good credentials alone', async () => {
    expect((await call(`/hc/${channel.domainId}`, { body: '' })).status).toBe(200)
    expect((await call(`/hc/${channel.domainRoute}`, { body: 'x' })).status).toBe(200)
    expect((await callWith(`/hc/${channel.domainId}`, { authorization: 'Client wrong' })).status).toBe(401)
  })

  it.each([
    ['GET', '/channels/{c}/messages'],
    ['GET', '/http/channels/{c}/messages'],
    ['POST', '/users'],
    ['POST', '/{d}/channels'],
    ['POST', '/publish/x'],
    ['GET', '/health'],
  ])('%s %s is left to others', async (method, path) => {
    expect((await call(fill(path), { method, body: '' })).headers['x-left']).toBe('to others')
  })

  it('lets browsers ask whether they may', async () => {
    const { status, headers } = await call(topic(), { method: 'OPTIONS', body: '' })
    expect(status).toBe(204)
    expect(headers['access-control-allow-headers']).toContain('Authorization')
  })
})

describe('a stream that is away', () => {
  it('is answered 503 with the time to come back, and nothing is lost silently', async () => {
    http.intercept = (_message, done) => done(new Unavailable('JetStream is away'))
    const answer = await call(topic())
    expect(answer.status).toBe(503)
    expect(answer.headers['retry-after']).toBe('1')
    expect(answer.json).toEqual({ error: 'unavailable', message: 'JetStream is away' })
  })

  it('one slow acknowledgement does not hold up the others', async () => {
    const waiting: (() => void)[] = []
    const publish = createPublish(publisher)
    http.intercept = (message, done) => {
      if (message.levels[0] === 'slow') waiting.push(() => publish(message, done))
      else publish(message, done)
    }
    const slow = call(`${topic()}/slow`)
    await vi.waitFor(() => expect(waiting).toHaveLength(1))
    expect((await call(`${topic()}/fast`)).status).toBe(202)
    waiting[0]?.()
    expect((await slow).status).toBe(202)
  })

  it('a bug is answered 500 without its words, and logged with them', async () => {
    http.intercept = () => {
      throw new Error('the pump is on fire')
    }
    const answer = await call(topic())
    expect(answer).toMatchObject({ status: 500, json: { error: 'internal', message: 'internal error' } })
    expect(lines.join()).toContain('the pump is on fire')
  })
})

describe('what is written down', () => {
  it('counts a message as received when the stream has it, and not when it could not be stored', async () => {
    const before = metrics.received('http').value
    expect((await call(topic())).status).toBe(202)
    http.intercept = (_message, done) => done(new Unavailable('JetStream is away'))
    expect((await call(topic())).status).toBe(503)
    expect(metrics.received('http').value).toBe(before + 1)
  })

  it('counts refusals by reason, in few lines, without secrets and payloads', async () => {
    const text = await metrics.registry.metrics()
    expect(text).toMatch(/sluice_refused_total\{protocol="http",reason="unauthenticated"\} \d+/)
    expect(text).toMatch(/sluice_messages_received_total\{protocol="http"\} \d+/)
    const before = lines.length
    for (let attempt = 0; attempt < 60; attempt += 1) {
      await callWith(`${topic()}?authorization=hush-hush`, {})
    }
    expect(lines.length - before).toBeLessThanOrEqual(20)
    for (const secret of ['hush-hush', PACK, ...tables.clients.map((each) => each.secret)]) {
      expect(lines.join('\n')).not.toContain(secret)
    }
  })
})
