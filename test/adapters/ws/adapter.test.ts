import { createServer } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { createAddressReader } from '../../../platform/http/client-address.ts'
import { WebSocket } from 'ws'
import { createAuthority } from '../../../adapters/authority-cache.ts'
import type { CachedAuthority } from '../../../adapters/authority-cache.ts'
import { createPublish } from '../../../adapters/publish.ts'
import type { Publish } from '../../../adapters/publish.ts'
import { createConnectionQuota } from '../../../adapters/quota.ts'
import type { ConnectionLimits } from '../../../adapters/quota.ts'
import type { Traffic } from '../../../adapters/traffic.ts'
import { createWsAdapter } from '../../../adapters/ws/adapter.ts'
import type { WsAdapter, WsLimits } from '../../../adapters/ws/adapter.ts'
import { createPublisher } from '../../../platform/bus/publisher.ts'
import type { Publisher } from '../../../platform/bus/publisher.ts'
import { createChannelFeed } from '../../../platform/bus/subscriptions.ts'
import type { ChannelFeed } from '../../../platform/bus/subscriptions.ts'
import { Unavailable } from '../../../platform/errors.ts'
import { createMetrics } from '../../../platform/metrics.ts'
import type { Metrics } from '../../../platform/metrics.ts'
import { announce, AuthorityTables } from '../../support/authority.ts'
import type { Channel, Client } from '../../support/authority.ts'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'
import { captureLog } from '../../support/log.ts'
import { startUntoldTraffic } from '../../support/traffic.ts'

let bus: TestBus
let publisher: Publisher
let tables: AuthorityTables
let authority: CachedAuthority
let channel: Channel
let client: Client
let metrics: Metrics
let server: Server
let adapter: WsAdapter
let traffic: Traffic
let feed: ChannelFeed
let port: number
let sockets: { terminate(): void }[] = []
/** What stands between the adapter and the stream in one test. */
let intercept: Publish | undefined
const { log, lines } = captureLog()

beforeAll(async () => {
  bus = await startTestBus()
  publisher = createPublisher(bus.bus)
})
afterAll(async () => {
  await publisher.stop()
  await bus.stop()
})

beforeEach(async () => {
  tables = new AuthorityTables()
  channel = tables.addChannel()
  client = tables.addClient()
  tables.allow(client, channel, 'publish', 'subscribe')
  authority = createAuthority({ backend: tables, bus: bus.bus })
  await authority.ready
  await start({})
})

afterEach(async () => {
  intercept = undefined
  for (const socket of sockets) socket.terminate()
  sockets = []
  await stop()
  await traffic.stop()
  authority.stop()
})

async function start(limits: Partial<WsLimits>, quota: Partial<ConnectionLimits> = {}): Promise<void> {
  metrics = createMetrics()
  const publish = createPublish(publisher)
  traffic = startUntoldTraffic(log)
  feed = createChannelFeed(bus.bus)
  adapter = createWsAdapter({
    traffic,
    quota: createConnectionQuota({ perClient: 100, perDomain: 100, ...quota }),
    addressOf: createAddressReader([]),
    authority,
    publish: (message, done) => (intercept ?? publish)(message, done),
    feed,
    log,
    metrics,
    limits: { maxPayloadBytes: 65_536, ...limits },
  })
  server = createServer()
  server.on('upgrade', (req: IncomingMessage, socket, head) => {
    if (!adapter.handleUpgrade(req, socket, head)) socket.end('HTTP/1.1 418 left to others\r\n\r\n')
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  port = (server.address() as AddressInfo).port
}

async function stop(): Promise<void> {
  await adapter.stop()
  feed.stop()
  server.closeAllConnections()
  await new Promise((resolve) => {
    server.close(resolve)
  })
}

async function restart(limits: Partial<WsLimits>, quota?: Partial<ConnectionLimits>): Promise<void> {
  await stop()
  await start(limits, quota)
}

const topic = (): string => `/m/${channel.domainId}/c/${channel.id}`

function dial(path: string, authorization: string | undefined): WebSocket {
  const headers = authorization === undefined ? {} : { authorization }
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers })
  socket.on('error', () => undefined)
  sockets.push(socket)
  return socket
}

interface Device {
  readonly socket: WebSocket
  readonly frames: { data: Buffer; isBinary: boolean }[]
  readonly closed: Promise<number>
}

/** Resolves when the handshake is done. */
async function join(path = topic(), authorization = client.secret): Promise<Device> {
  const socket = dial(path, authorization)
  const frames: Device['frames'] = []
  socket.on('message', (data: Buffer, isBinary: boolean) => frames.push({ data, isBinary }))
  const closed = new Promise<number>((resolve) => socket.on('close', resolve))
  await once(socket, 'open')
  return { socket, frames, closed }
}

/** The HTTP answer to a handshake that is refused. */
async function refusal(path: string, authorization?: string): Promise<{ status: number; json: unknown }> {
  const [, res] = (await once(dial(path, authorization), 'unexpected-response')) as [unknown, IncomingMessage]
  let text = ''
  for await (const chunk of res.setEncoding('utf8')) text += String(chunk)
  return { status: res.statusCode ?? 0, json: text === '' ? undefined : JSON.parse(text) }
}

const texts = ({ frames }: Device): string[] => frames.map(({ data }) => data.toString())

/** Publishes as any NATS client can. */
async function publishForeign(text: string, ...levels: string[]): Promise<void> {
  bus.bus.connection.publish(['m', channel.domainId, 'c', channel.id, ...levels].join('.'), text)
  await bus.bus.flush()
}

describe('the handshake', () => {
  it('opens with credentials in each of their forms, on each path', async () => {
    const basic = `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}`
    for (const authorization of [client.secret, `Client ${client.secret}`, basic]) {
      await join(topic(), authorization)
      const socket = dial(`${topic()}?authorization=${encodeURIComponent(authorization)}`, undefined)
      await once(socket, 'open')
    }
    for (const path of [
      `/ws${topic()}/a/b`,
      `/channels/${channel.id}/messages`,
      `/ws/channels/${channel.id}/messages/a`,
      `/m/${channel.domainRoute}/c/${channel.route}`,
    ]) {
      await join(path)
    }
    expect(metrics.connections('ws').value).toBe(10)
  })

  it('is refused with an answer that says why', async () => {
    const unknown = '00000000-0000-4000-8000-000000000000'
    const stranger = tables.addClient()
    const cases: [string, string | undefined, number][] = [
      [topic(), undefined, 401],
      [topic(), 'wrong', 401],
      [`${topic()}/a+`, undefined, 401],
      [`${topic()}/a+`, client.secret, 400],
      [`${topic()}/%23/a`, client.secret, 400],
      [`/m/${channel.domainId}/c/${unknown}`, client.secret, 404],
      [`/m/${channel.domainId}/c/${unknown}`, 'wrong', 401],
      [topic(), stranger.secret, 403],
      [`${topic()}?content-type=text/html`, client.secret, 415],
    ]
    for (const [path, authorization, status] of cases) {
      expect(await refusal(path, authorization), path).toEqual({
        status,
        json: { error: expect.any(String), message: expect.any(String) },
      })
    }
    expect(metrics.refused('ws', 'unauthenticated').value).toBe(4)
    expect(lines.join()).not.toContain(client.secret)
  })

  it('is refused without harm when it is malformed, or ends early', async () => {
    const lacksKey = `GET ${topic()} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nAuthorization: ${client.secret}\r\n\r\n`
    const raw = rawSocket(lacksKey)
    await vi.waitFor(() => expect(raw.text()).toContain('400'))

    let answer = (): void => undefined
    tables.gate = () =>
      new Promise((resolve) => {
        answer = resolve
      })
    const asked = tables.asked
    const early = rawSocket(handshake(`/m/${channel.domainRoute}/c/${channel.route}`))
    await vi.waitFor(() => expect(tables.asked).toBeGreaterThan(asked))
    early.socket.resetAndDestroy()
    tables.gate = () => Promise.resolve()
    answer()
    await join()
    expect(metrics.connections('ws').value).toBe(1)
  })

  it('on another path is left to others', async () => {
    expect((await refusal('/mqtt', client.secret)).status).toBe(418)
  })

  it('is refused with 503 beyond the limit of connections', async () => {
    await restart({ maxConnections: 1 })
    await join()
    expect((await refusal(topic(), client.secret)).status).toBe(503)
  })

  it('is refused with 429 beyond the connections of its client or its domain, until one is gone', async () => {
    await restart({}, { perClient: 1, perDomain: 2 })
    const { socket } = await join()
    expect(await refusal(topic(), client.secret)).toMatchObject({
      status: 429,
      json: { error: 'client_connections' },
    })
    const others = [tables.addClient(), tables.addClient()]
    for (const other of others) tables.allow(other, channel, 'publish')
    await join(topic(), others[0]?.secret)
    expect(await refusal(topic(), others[1]?.secret)).toMatchObject({
      status: 429,
      json: { error: 'domain_connections' },
    })
    // Neither a refusal nor a malformed handshake counts.
    const lacksKey = handshake(topic()).replace(/Sec-WebSocket-Key.*\r\n/, '')
    const malformed = rawSocket(lacksKey)
    socket.close()
    await vi.waitFor(() => expect(metrics.connections('ws').value).toBe(1))
    await vi.waitFor(() => expect(malformed.text()).toContain('HTTP/1.1 4'))
    await join(topic(), others[1]?.secret)
  })

  it('is refused with 429 when its client makes too many', async () => {
    await restart({}, { perClientPerS: 0.001 })
    const { socket } = await join()
    socket.close()
    expect(await refusal(topic(), client.secret)).toMatchObject({
      status: 429,
      json: { error: 'client_connect_rate' },
    })
  })
})

function handshake(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nAuthorization: ${client.secret}\r\n\r\n`
}

function rawSocket(head: string): { socket: Socket; text(): string } {
  const socket = connect({ port, host: '127.0.0.1' })
  let text = ''
  socket.on('data', (data) => (text += data.toString('latin1')))
  socket.on('error', () => undefined)
  socket.write(head)
  sockets.push({ terminate: () => socket.destroy() })
  return { socket, text: () => text }
}

describe('a subscriber', () => {
  it('gets each message once, from the moment it is open, as binary frames with the bytes as they were', async () => {
    const device = await join()
    bus.bus.connection.publish(`m.${channel.domainId}.c.${channel.id}`, Buffer.from([0, 255, 10]))
    await publishForeign('text')
    await vi.waitFor(() => expect(device.frames).toHaveLength(2))
    expect(device.frames[0]).toEqual({ data: Buffer.from([0, 255, 10]), isBinary: true })
    expect(device.frames[1]).toEqual({ data: Buffer.from('text'), isBinary: true })
    expect(metrics.delivered('ws').value).toBe(2)
  })

  it('gets what its path names, with wildcards in it', async () => {
    const devices = {
      '': await join(),
      '/a': await join(`${topic()}/a`),
      '/+': await join(`${topic()}/+`),
      '/a/%23': await join(`${topic()}/a/%23`),
      '/%23': await join(`${topic()}/%23`),
    }
    await publishForeign('root')
    await publishForeign('a', 'a')
    await publishForeign('ab', 'a', 'b')
    await publishForeign('c', 'c')
    await vi.waitFor(() => expect(texts(devices['/%23'])).toEqual(['root', 'a', 'ab', 'c']))
    expect(texts(devices[''])).toEqual(['root'])
    expect(texts(devices['/a'])).toEqual(['a'])
    expect(texts(devices['/+'])).toEqual(['a', 'c'])
    expect(texts(devices['/a/%23'])).toEqual(['a', 'ab'])
  })

  it('that does not read is dropped with a bounded buffer, and the others get everything', async () => {
    await restart({ maxBufferedBytes: 262_144 })
    const slow = rawSocket(handshake(topic()))
    await vi.waitFor(() => expect(slow.text()).toContain('101'))
    slow.socket.pause()
    const device = await join()
    const payload = Buffer.alloc(60_000, 'x')
    let sent = 0
    await vi.waitFor(
      async () => {
        for (let burst = 0; burst < 10; burst += 1) {
          bus.bus.connection.publish(`m.${channel.domainId}.c.${channel.id}`, payload)
          sent += 1
        }
        await bus.bus.flush()
        expect(metrics.refused('ws', 'slow_reader').value).toBe(1)
      },
      { timeout: 10_000, interval: 5 },
    )
    await vi.waitFor(() => expect(device.frames).toHaveLength(sent))
    expect(device.socket.readyState).toBe(WebSocket.OPEN)
  })

  it('that takes nothing for long is ended, however large the buffer', async () => {
    await restart({ maxBufferedBytes: 2 ** 30, pingIntervalMs: 1_500 })
    const stuck = rawSocket(handshake(topic()))
    await vi.waitFor(() => expect(stuck.text()).toContain('101'))
    stuck.socket.pause()
    const device = await join()
    const payload = Buffer.alloc(60_000, 'x')
    await vi.waitFor(
      async () => {
        bus.bus.connection.publish(`m.${channel.domainId}.c.${channel.id}`, payload)
        await bus.bus.flush()
        expect(metrics.refused('ws', 'write_timeout').value).toBe(1)
      },
      { timeout: 20_000, interval: 2 },
    )
    await vi.waitFor(() => expect(metrics.connections('ws').value).toBe(1))
    expect(device.socket.readyState).toBe(WebSocket.OPEN)
  })
})

describe('a publisher', () => {
  it('puts each frame on the stream, text and binary, and gets it back when it subscribes', async () => {
    const device = await join(`${topic()}/floor1?content-type=application%2Fsenml%2Bjson`)
    const messages: unknown[] = []
    const following = feed.follow({ domainId: channel.domainId, channelId: channel.id }, (message) =>
      messages.push(message),
    )
    await following.ready
    device.socket.send('text')
    device.socket.send('')
    device.socket.send(Buffer.from([1, 2, 3]))
    await vi.waitFor(() => expect(device.frames).toHaveLength(2))
    expect(device.frames.map(({ data }) => data)).toEqual([Buffer.from('text'), Buffer.from([1, 2, 3])])
    expect(messages).toHaveLength(2)
    await vi.waitFor(() => expect(metrics.received('ws').value).toBe(2))
    expect(messages[0]).toMatchObject({
      levels: ['floor1'],
      publisher: client.id,
      protocol: 'ws',
      contentType: 'application/senml+json',
      payload: Buffer.from('text'),
    })
    following.stop()
  })

  it('without the right to subscribe gets nothing, and without the right to publish is closed', async () => {
    const [writer, reader] = [tables.addClient(), tables.addClient()]
    tables.allow(writer, channel, 'publish')
    tables.allow(reader, channel, 'subscribe')
    const [writing, reading] = [await join(topic(), writer.secret), await join(topic(), reader.secret)]
    writing.socket.send('a')
    await vi.waitFor(() => expect(texts(reading)).toEqual(['a']))
    expect(writing.frames).toEqual([])
    reading.socket.send('b')
    expect(await reading.closed).toBe(1008)
    expect((await refusal(`${topic()}/%23`, writer.secret)).status).toBe(403)
  })

  it('is closed for a frame on a path with wildcards, or one too large', async () => {
    const filter = await join(`${topic()}/%23`)
    filter.socket.send('x')
    expect(await filter.closed).toBe(1008)
    const large = await join()
    large.socket.send(Buffer.alloc(65_537))
    expect(await large.closed).toBe(1009)
    await vi.waitFor(() => expect(metrics.connections('ws').value).toBe(0))
    expect(metrics.refused('ws', 'wildcard_publish').value).toBe(1)
    expect(metrics.refused('ws', 'too_large').value).toBe(1)
  })

  it('is told by closing that a frame was not stored', async () => {
    intercept = (_message, done) => done(new Unavailable('JetStream is away'))
    const device = await join()
    device.socket.send('x')
    device.socket.send('y')
    expect(await device.closed).toBe(1013)
    expect(metrics.refused('ws', 'unavailable').value).toBe(1)
    expect(metrics.received('ws').value).toBe(0)
  })

  it('that is faster than the stream is slowed down, and loses nothing', async () => {
    let inFlight = 0
    let most = 0
    const seen: number[] = []
    intercept = (message, done) => {
      inFlight += 1
      most = Math.max(most, inFlight)
      seen.push(Buffer.from(message.payload).readUInt32BE())
      setImmediate(() => {
        inFlight -= 1
        done()
      })
    }
    const device = await join()
    for (let index = 0; index < 5_000; index += 1) {
      const payload = Buffer.alloc(1_024)
      payload.writeUInt32BE(index)
      device.socket.send(payload)
    }
    await vi.waitFor(() => expect(seen).toHaveLength(5_000), { timeout: 10_000 })
    expect(seen).toEqual(Array.from({ length: 5_000 }, (_, index) => index))
    // The bound, and what was in the same read of the socket.
    expect(most).toBeLessThan(128 + 70)
  })
})

describe('a live socket', () => {
  const disconnect = (who: Client): Promise<void> => {
    tables.forbid(who, channel)
    return announce(bus.bus, {
      operation: 'channel.disconnect',
      domain_id: channel.domainId,
      attributes: { client_ids: [who.id], channel_ids: [channel.id] },
    })
  }

  it('is closed when its client is disconnected, and no other is', async () => {
    const other = tables.addClient()
    tables.allow(other, channel, 'subscribe')
    const [device, neighbour] = [await join(), await join(topic(), other.secret)]
    await disconnect(client)
    expect(await device.closed).toBe(1008)
    await publishForeign('still here')
    await vi.waitFor(() => expect(texts(neighbour)).toEqual(['still here']))
    expect(metrics.refused('ws', 'revoked').value).toBe(1)
  })

  it('is closed when it loses one of its two rights', async () => {
    const device = await join()
    tables.permissions.delete(`${client.id} ${channel.id} publish`)
    await announce(bus.bus, {
      operation: 'channel.disconnect',
      domain_id: channel.domainId,
      attributes: { client_ids: [client.id], channel_ids: [channel.id] },
    })
    expect(await device.closed).toBe(1008)
  })

  it('is closed when its secret is rotated, and stays when its name changes', async () => {
    const device = await join()
    await announce(bus.bus, { operation: 'client.update', domain_id: client.domainId, entity_id: client.id })
    await publishForeign('a')
    await vi.waitFor(() => expect(texts(device)).toEqual(['a']))
    client.secret = 'another'
    await announce(bus.bus, {
      operation: 'client.update_secret',
      domain_id: client.domainId,
      entity_id: client.id,
    })
    expect(await device.closed).toBe(1008)
  })

  it('is closed when the change fell into its handshake', async () => {
    // The answer "may subscribe" is given before the disconnect and arrives after it.
    let isHeld = false
    let release = (): void => undefined
    const authorize = tables.authorize.bind(tables)
    vi.spyOn(tables, 'authorize').mockImplementation(async (request) => {
      const answer = await authorize(request)
      if (!isHeld && request.action === 'subscribe') {
        isHeld = true
        await new Promise<void>((resolve) => {
          release = resolve
        })
      }
      return answer
    })
    const device = join()
    await vi.waitFor(() => expect(isHeld).toBe(true))
    const changed = new Promise((resolve) => authority.onChange(resolve))
    await disconnect(client)
    await changed
    release()
    expect(await (await device).closed).toBe(1008)
  })

  it('is checked again after the bus was away, until somebody answers', async () => {
    const device = await join()
    tables.forbid(client, channel)
    let isAway = true
    tables.gate = () => (isAway ? Promise.reject(new Unavailable('away')) : Promise.resolve())
    const asked = tables.asked
    await bus.bus.connection.reconnect()
    await vi.waitFor(() => expect(tables.asked).toBeGreaterThan(asked), { timeout: 5_000 })
    expect(device.socket.readyState).toBe(WebSocket.OPEN)
    isAway = false
    expect(await device.closed).toBe(1008)
  })

  it('is closed with 1013 when it may have missed messages, and others are not', async () => {
    const elsewhere = await bus.connect()
    const device = await join(`${topic()}/loud`)
    const quiet = await join(`${topic()}/quiet`)
    const publishing = vi.waitFor(
      async () => {
        elsewhere.connection.publish(`m.${channel.domainId}.c.${channel.id}.loud`, 'x')
        await elsewhere.flush()
        expect(device.socket.readyState).toBe(WebSocket.CLOSED)
      },
      { timeout: 10_000, interval: 5 },
    )
    await bus.bus.connection.reconnect()
    await publishing
    expect(await device.closed).toBe(1013)
    expect(quiet.socket.readyState).toBe(WebSocket.OPEN)
    expect(metrics.refused('ws', 'messages_missed').value).toBe(1)
  })

  it('is pinged, and ended when it does not answer', async () => {
    await restart({ pingIntervalMs: 150 })
    const device = await join()
    const dead = rawSocket(handshake(topic()))
    const ended = once(dead.socket, 'close')
    await vi.waitFor(() => expect(dead.text()).toContain('101'))
    await ended
    expect(metrics.refused('ws', 'ping_timeout').value).toBe(1)
    // A ping frame: final, opcode 9, no payload.
    expect(dead.text()).toContain('\x89\x00')
    expect(device.socket.readyState).toBe(WebSocket.OPEN)
  })

  it('is closed with 1001 when the gateway stops, and none is let in any more', async () => {
    const devices = await Promise.all([join(), join()])
    const deaf = rawSocket(handshake(topic()))
    await vi.waitFor(() => expect(deaf.text()).toContain('101'))
    const stopped = adapter.stop()
    expect(await Promise.all(devices.map(({ closed }) => closed))).toEqual([1001, 1001])
    expect((await refusal(topic(), client.secret)).status).toBe(503)
    await stopped
    expect(metrics.connections('ws').value).toBe(0)
  })
})
