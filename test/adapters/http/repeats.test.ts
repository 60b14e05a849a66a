import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Message } from '../../../platform/bus/message.ts'
import { createChannelFeed } from '../../../platform/bus/subscriptions.ts'
import { Unavailable } from '../../../platform/errors.ts'
import { announce } from '../../support/authority.ts'
import type { Channel, Client } from '../../support/authority.ts'
import { MAX_PAYLOAD_BYTES, SENML, startHttpAdapter } from './support.ts'
import type { HttpAdapterUnderTest } from './support.ts'

let http: HttpAdapterUnderTest
let channel: Channel
let client: Client
const received: Message[] = []
const sockets: Socket[] = []

const within = <T>(question: () => T | Promise<T>): Promise<T> =>
  vi.waitFor(question, { timeout: 15_000, interval: 2 })

beforeAll(async () => {
  http = await startHttpAdapter(60_000)
})

afterAll(() => http.stop())

beforeEach(async () => {
  channel = http.tables.addChannel({ route: `c-${http.tables.channels.length}` })
  client = http.tables.addClient()
  http.tables.allow(client, channel, 'publish')
  received.length = 0
  http.handled.length = 0
  const following = createChannelFeed(http.bus.bus).follow(
    { domainId: channel.domainId, channelId: channel.id },
    (message) => received.push(message),
  )
  await following.ready
  return () => {
    http.intercept = undefined
    following.stop()
    for (const socket of sockets.splice(0)) socket.destroy()
  }
})

interface Device {
  readonly socket: Socket
  /** The gateway's end. */
  readonly other: Socket
  /** Sends, and waits until the gateway has read it, so that it does not come together with what is sent next. */
  readonly sendPart: (bytes: Buffer) => Promise<void>
  /** Everything that came back, cut at the beginnings of answers. */
  readonly answers: () => string[]
  readonly statuses: () => number[]
  /** Sends, and waits until there are so many answers in all. */
  readonly send: (bytes: string | Buffer, answersInAll: number) => Promise<void>
}

async function open(): Promise<Device> {
  const socket = connect({ port: http.port, host: '127.0.0.1', noDelay: true })
  sockets.push(socket)
  await new Promise((resolve) => {
    socket.once('connect', resolve)
  })
  let text = ''
  let onData: () => unknown = () => undefined
  socket.setEncoding('latin1').on('data', (more: string) => {
    text += more
    onData()
  })
  const answers = () => text.split(/(?=HTTP\/1\.1 )/).filter((answer) => answer !== '')
  const other = http.connections.get(socket.localPort ?? 0) as Socket
  return {
    socket,
    other,
    async sendPart(bytes) {
      const readBefore = other.bytesRead
      socket.write(bytes)
      await within(() => expect(other.bytesRead).toBe(readBefore + bytes.length))
    },
    answers,
    statuses: () => answers().map((answer) => Number(answer.slice(9, 12))),
    async send(bytes, answersInAll) {
      socket.write(bytes)
      await new Promise<void>((resolve) => {
        onData = () => answers().length >= answersInAll && resolve()
        onData()
      })
      expect(answers()).toHaveLength(answersInAll)
    },
  }
}

interface Parts {
  path?: string
  secret?: string
  type?: string
  more?: string
}

function request(
  payload: string | Buffer,
  { path = '', secret, type = SENML, more = '' }: Parts = {},
): Buffer {
  const head =
    `POST /m/${channel.domainId}/c/${channel.id}${path} HTTP/1.1\r\nHost: gateway\r\n` +
    `Authorization: Client ${secret ?? client.secret}\r\nContent-Type: ${type}\r\n${more}` +
    `Content-Length: ${Buffer.byteLength(payload)}\r\n\r\n`
  return Buffer.concat([Buffer.from(head), Buffer.from(payload)])
}

/** A connection on which a head is known: the first comes before it is followed, from the second it is learnt. */
async function openKnown(parts?: Parts): Promise<Device> {
  const device = await open()
  received.length = 0
  await device.send(request('first', parts), 1)
  await device.send(request('second', parts), 2)
  expect(device.statuses()).toEqual([202, 202])
  await payloadsAre('first', 'second')
  received.length = 0
  http.handled.length = 0
  return device
}

const payloadsAre = (...payloads: string[]): Promise<void> =>
  within(() => {
    expect(received.map(({ payload }) => Buffer.from(payload).toString())).toEqual(payloads)
  })

describe('a head that came before on the same connection', () => {
  it('is served without reading it anew, and answered with the same bytes', async () => {
    const device = await openKnown({ path: '/a' })
    await device.send(request('short', { path: '/a' }), 3)
    await device.send(request('a payload that is longer than those before', { path: '/a' }), 4)
    await payloadsAre('short', 'a payload that is longer than those before')
    expect(http.handled).toEqual([])
    expect(received[1]).toMatchObject({
      levels: ['a'],
      publisher: client.id,
      protocol: 'http',
      contentType: SENML,
    })
    const [first, ...others] = device.answers().map((answer) => answer.replace(/Date: .*\r\n/, ''))
    for (const other of others) expect(other).toBe(first)
  })

  it('may be cut anywhere', async () => {
    const bytes = request('a payload')
    const device = await openKnown()
    let count = device.answers().length
    for (let at = 1; at < bytes.length; at += 1) {
      await device.sendPart(bytes.subarray(0, at))
      count += 1
      await device.send(bytes.subarray(at), count)
    }
    expect(new Set(device.statuses())).toEqual(new Set([202]))
    await within(() => expect(received).toHaveLength(bytes.length - 1))
    expect(http.handled).toEqual([])
  })

  it('is answered in order when many are on their way, the bad ones among them too', async () => {
    const device = await openKnown()
    const payloads = Array.from({ length: 300 }, (_, i) => (i % 50 === 49 ? 'broken' : `number ${i}`))
    await device.send(Buffer.concat(payloads.map((payload) => request(payload))), 302)
    expect(device.statuses().slice(2)).toEqual(payloads.map((payload) => (payload === 'broken' ? 400 : 202)))
    await payloadsAre(...payloads.filter((payload) => payload !== 'broken'))
  })

  it('is one of several that come in turn', async () => {
    const device = await open()
    const paths = ['/a', '/b', '/c']
    for (let i = 0; i < 12; i += 1)
      await device.send(request(`${i}`, { path: paths[i % 3] as string }), i + 1)
    expect(http.handled).toHaveLength(4)
    await within(() => expect(received).toHaveLength(12))
    expect(received.map(({ levels }) => `/${levels.join()}`)).toEqual(
      Array.from({ length: 12 }, (_, i) => paths[i % 3]),
    )
  })

  it('is what it was for another secret alone', async () => {
    const device = await openKnown()
    await device.send(request('stolen', { secret: 'wrong' }), 3)
    const other = http.tables.addClient()
    http.tables.allow(other, channel, 'publish')
    await device.send(request('mine', { secret: other.secret }), 4)
    await device.send(request('ours'), 5)
    expect(device.statuses().slice(2)).toEqual([401, 202, 202])
    await payloadsAre('mine', 'ours')
    expect(received.map(({ publisher }) => publisher)).toEqual([other.id, client.id])
  })

  it('is refused as soon as its sender may no longer publish', async () => {
    const device = await openKnown()
    http.tables.forbid(client, channel)
    await announce(http.bus.bus, {
      operation: 'channel.disconnect',
      domain_id: channel.domainId,
      attributes: { client_ids: [client.id], channel_ids: [channel.id], types: ['publish'] },
    })
    await device.send(request('too late'), 3)
    expect(device.statuses()[2]).toBe(403)
    expect(received).toEqual([])
  })

  it.each([
    ['nothing', '', 400],
    ['too much', 'x'.repeat(MAX_PAYLOAD_BYTES + 1), 413],
    ['a bad payload', 'broken', 400],
  ])('with %s behind it is refused as ever', async (_what, payload, status) => {
    const device = await openKnown()
    await device.send(request(payload), 3)
    expect(device.statuses()[2]).toBe(status)
    await device.send(request('good'), 4)
    await payloadsAre('good')
  })

  it('is told when the stream does not take it', async () => {
    const device = await openKnown()
    http.intercept = (_message, done) => done(new Unavailable('JetStream is away'))
    const before = http.metrics.refused('http', 'unavailable').value
    await device.send(Buffer.concat([request('lost'), request('lost too')]), 4)
    for (const answer of device.answers().slice(2)) {
      expect(answer).toMatch(/^HTTP\/1\.1 503 Service Unavailable\r\n/)
      expect(answer).toContain('\r\nRetry-After: 1\r\n')
      expect(answer).toMatch(/\r\n\r\n\{"error":"unavailable","message":"JetStream is away"\}$/)
    }
    expect(http.metrics.refused('http', 'unavailable').value).toBe(before + 2)
    http.intercept = () => {
      throw new Error('the pump is on fire')
    }
    await device.send(request('bug'), 5)
    expect(device.statuses()[4]).toBe(500)
  })
})

describe('a connection with a known head', () => {
  it('is given back to whom it came from for anything else', async () => {
    const device = await openKnown()
    await device.send('GET /domains HTTP/1.1\r\nHost: gateway\r\n\r\n', 3)
    await device.send(request('again'), 4)
    await device.send(
      request('').toString().replace('Content-Length: 0', 'Transfer-Encoding: chunked') +
        '3\r\nabc\r\n0\r\n\r\n',
      5,
    )
    await device.send(request('last', { more: 'Connection: close\r\n' }), 6)
    expect(device.statuses().slice(2)).toEqual([404, 202, 202, 202])
    await payloadsAre('again', 'abc', 'last')
    await within(() => expect(device.socket.readyState).toBe('closed'))
  })

  it('is handed over whole when it becomes a WebSocket or the like', async () => {
    const upgraded = new Promise<string>((resolve) => {
      http.server.once('upgrade', (_req, socket, head) => {
        let text = head.toString()
        socket.on('end', () => socket.end())
        socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n')
        socket.on('data', (bytes: Buffer) => {
          text += bytes.toString()
          if (text.endsWith('end')) resolve(text)
        })
      })
    })
    const device = await openKnown()
    const upgrade = 'GET /ws HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'
    await device.send(`${upgrade}begin,`, 3)
    // It looks like a publication and is none any more.
    device.socket.write(request('looks like one'))
    device.socket.write(',end')
    expect(await upgraded).toBe(`begin,${request('looks like one').toString()},end`)
    expect(received).toEqual([])
  })

  it('does not take a payload for a request', async () => {
    const device = await openKnown()
    const hidden = request('hidden')
    const outer = request(hidden, { path: '/outer', type: 'application/octet-stream' })
    const bodyAt = outer.length - hidden.length
    for (const parts of [[bodyAt], [bodyAt - 1], [10, bodyAt], [bodyAt, bodyAt + 20]]) {
      const other = await openKnown()
      let from = 0
      for (const to of parts) {
        await other.sendPart(outer.subarray(from, to))
        from = to
      }
      await other.send(outer.subarray(from), 3)
      await payloadsAre(hidden.toString())
    }
    await device.send(Buffer.concat([outer, request('after')]), 4)
    await payloadsAre(hidden.toString(), hidden.toString(), 'after')
  })

  it('waits for a request that takes its time before it answers the next', async () => {
    const device = await openKnown()
    let letGo: (() => void) | undefined
    http.intercept = (message, done) => {
      if (message.levels[0] === 'slow') letGo = () => done()
      else done()
    }
    device.socket.write(request('slow', { path: '/slow' }))
    await within(() => expect(letGo).toBeDefined())
    await device.sendPart(Buffer.concat([request('quick'), request('quick')]))
    expect(device.answers()).toHaveLength(2)
    letGo?.()
    await within(() => expect(device.statuses()).toEqual([202, 202, 202, 202, 202]))
  })

  it('reads no further for somebody who does not read his answers, and loses nothing', async () => {
    const device = await openKnown()
    http.intercept = (_message, done) => done()
    const answerBytes = device.answers()[0]?.length ?? 0
    let bytes = 0
    device.socket.removeAllListeners('data').pause()
    device.socket.on('data', (more: string) => (bytes += more.length)).pause()
    const many = Buffer.concat(Array.from({ length: 1_000 }, () => request('x')))
    for (let i = 0; i < 100; i += 1) device.socket.write(many)
    await within(() => expect(device.other.writableNeedDrain && device.other.isPaused()).toBe(true))
    expect(device.other.bytesRead).toBeLessThan(100 * many.length)
    device.socket.resume()
    await within(() => expect(bytes).toBe(100_000 * answerBytes))
  }, 30_000)

  it('reads the same requests as a new one for each, however they are cut', async () => {
    const kinds: [() => Buffer, number][] = [
      [() => request('plain'), 202],
      [() => request('another', { path: '/b' }), 202],
      [() => request('third', { type: 'text/plain' }), 202],
      [() => request('broken'), 400],
      [() => request('x'.repeat(3_000)), 202],
      [() => request('nobody', { secret: 'nobody' }), 401],
    ]
    for (let round = 0; round < 16; round += 1) {
      // Some order that is another one each round, and the same in each run.
      let seed = round * 7_919 + 1
      const next = (below: number): number => {
        seed = (seed * 48_271) % 2_147_483_647
        return seed % below
      }
      const chosen = Array.from(
        { length: 30 },
        () => kinds[next(round % 2 === 0 ? 3 : 6)] as (typeof kinds)[0],
      )
      const all = Buffer.concat(chosen.map(([make]) => make()))
      const device = await openKnown()
      for (let at = 0; at < all.length;) {
        const size = 1 + next(round < 8 ? 200 : 2_000)
        device.socket.write(all.subarray(at, at + size))
        at += size
        if (next(3) > 0) await new Promise(setImmediate)
      }
      await within(() => expect(device.answers()).toHaveLength(32))
      expect(device.statuses().slice(2), `round ${round}`).toEqual(chosen.map(([, status]) => status))
      const good = chosen.filter(([, status]) => status === 202).length
      await within(() => expect(received).toHaveLength(good))
    }
  }, 30_000)
})

// Last: it serves nothing by itself afterwards.
describe('a gateway that stops', () => {
  it('answers first what was taken, and takes nothing more past node:http', async () => {
    const device = await openKnown()
    let letGo: (() => void) | undefined
    http.intercept = (_message, done) => (letGo = () => done())
    device.socket.write(request('waits'))
    await within(() => expect(letGo).toBeDefined())
    let isStopped = false
    const stopped = http.adapter.stop().then(() => (isStopped = true))
    await new Promise(setImmediate)
    expect(isStopped).toBe(false)
    letGo?.()
    await stopped
    http.intercept = (_message, done) => done()
    expect(http.handled).toEqual([])
    await device.send(request('after'), 4)
    expect(device.statuses()).toEqual([202, 202, 202, 202])
    expect(http.handled).toHaveLength(1)
  })
})
