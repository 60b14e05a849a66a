import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

const MAX_STRANGERS = 5
const PACK = '[{"n":"t","v":21.5}]'

let gateway: TestGateway
let api: Api
let site: Awaited<ReturnType<Api['given']['site']>>
const sockets: Socket[] = []

const within = <T>(question: () => T | Promise<T>): Promise<T> => vi.waitFor(question, { timeout: 15_000 })

beforeAll(async () => {
  gateway = await startTestGateway({ SLUICE_MAX_UNAUTHENTICATED_HTTP_PER_ADDRESS: String(MAX_STRANGERS) })
  api = createApi(gateway.url)
  site = await api.given.site()
})
afterAll(() => gateway.stop())
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
})

interface Line {
  readonly socket: Socket
  readonly text: () => string
  readonly isClosed: () => boolean
  /** Sends, and waits for that to come back. */
  readonly ask: (bytes: string, answer: RegExp) => Promise<void>
}

async function open(url = gateway.url): Promise<Line> {
  const { port } = new URL(url)
  const socket = connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true })
  sockets.push(socket)
  let text = ''
  let isClosed = false
  socket.setEncoding('latin1').on('data', (more: string) => (text += more))
  socket.on('error', () => undefined)
  socket.on('end', () => (isClosed = true)).on('close', () => (isClosed = true))
  await new Promise((resolve) => {
    socket.once('connect', resolve)
  })
  return {
    socket,
    text: () => text,
    isClosed: () => isClosed,
    async ask(bytes, answer) {
      socket.write(bytes)
      await within(() => expect(text).toMatch(answer))
    },
  }
}

const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: gateway\r\n${more}\r\n`

function publication(more = '', auth = site.auth, target = `/${site.topic}`): string {
  return (
    `POST ${target} HTTP/1.1\r\nHost: gateway\r\nAuthorization: ${auth}\r\n` +
    `Content-Type: application/senml+json\r\n${more}Content-Length: ${PACK.length}\r\n\r\n`
  )
}

describe('an HTTP request', () => {
  const OFFER = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n'

  it('that offers another protocol is served in this one, and the connection goes on', async () => {
    const line = await open()
    await line.ask(get('/health', OFFER), /^HTTP\/1\.1 200 .*"status":"pass"/s)
    await line.ask(publication(OFFER) + PACK.slice(0, 5), /^/)
    await line.ask(PACK.slice(5), /HTTP\/1\.1 202/)
    for (let count = 2; count < 6; count += 1)
      await line.ask(publication() + PACK, new RegExp(`(?:HTTP/1\\.1 202.*){${count}}`, 's'))
    await line.ask(get('/healthz', 'Connection: close, Upgrade\r\nUpgrade: h2c\r\n'), /Connection: close/)
    await within(() => expect(line.isClosed()).toBe(true))
  })

  it('may name the whole address', async () => {
    const line = await open()
    await line.ask(get('http://gateway:8080/healthz'), /^HTTP\/1\.1 200/)
    await line.ask(publication('', site.auth, `http://gateway/${site.topic}`) + PACK, /HTTP\/1\.1 202/)
    await line.ask(get('http://gateway'), /HTTP\/1\.1 404/)
  })

  it('that waits before it sends its body is asked for it when its sender may publish', async () => {
    const line = await open()
    await line.ask(publication('Expect: 100-continue\r\n'), /^HTTP\/1\.1 100 Continue\r\n\r\n$/)
    await line.ask(PACK, /HTTP\/1\.1 202/)
    await line.ask(publication() + PACK, /HTTP\/1\.1 202.*HTTP\/1\.1 202/s)
  })

  it('of a stranger is refused before its body is sent', async () => {
    const line = await open()
    await line.ask(publication('Expect: 100-continue\r\n', 'Client wrong'), /^HTTP\/1\.1 401/)
    expect(line.text()).toContain('Connection: close')
    await within(() => expect(line.isClosed()).toBe(true))
  })

  it('that cannot be read ends its connection, also when the other side keeps it open', async () => {
    const line = await open()
    await line.ask('NONSENSE\r\n\r\n', /^HTTP\/1\.1 400/)
    // Half closed by us; the other half ends after a moment, and what comes then is answered with a reset.
    const reset = new Promise((resolve) => {
      line.socket.once('error', resolve)
    })
    const timer = setInterval(() => line.socket.write('x'), 100)
    expect(await reset).toMatchObject({ code: expect.stringMatching(/ECONNRESET|EPIPE/) })
    clearInterval(timer)
    const long = await open()
    await long.ask(get('/', `X-Long: ${'y'.repeat(40_000)}\r\n`), /^HTTP\/1\.1 431/)
  })
})

describe('connections of strangers', () => {
  const refused = async (): Promise<number> => {
    const { text } = await api.expect(200, 'GET', '/metrics')
    return Number(
      /refused_total\{protocol="http",reason="too_many_unauthenticated"\} (\d+)/.exec(text)?.[1] ?? 0,
    )
  }

  it('are bounded for each address, and those of known callers are none', async () => {
    const before = await refused()
    const known: Line[] = []
    for (let i = 0; i < MAX_STRANGERS + 1; i += 1) {
      const line = await open()
      await line.ask(
        i % 2 === 0 ? publication() + PACK : get('/domains', `Authorization: Bearer ${site.token}\r\n`),
        /^HTTP\/1\.1 20[02]/,
      )
      known.push(line)
    }
    const device = await open()
    const messages = `/${site.domain.id}/channels/${site.channel.id}/messages`
    await device.ask(get(messages, `Authorization: ${site.auth}\r\n`), /^HTTP\/1\.1 200/)

    // A right answer to anybody proves nothing, whatever he says of himself.
    const strangers: Line[] = []
    for (let i = 0; i < MAX_STRANGERS; i += 1) {
      const line = await open()
      await line.ask(get('/healthz', 'Authorization: Bearer x\r\n'), /^HTTP\/1\.1 200/)
      strangers.push(line)
    }
    const extra = await open()
    await within(() => expect(extra.isClosed()).toBe(true))
    await device.ask(get('/healthz'), /HTTP\/1\.1 200.*HTTP\/1\.1 200/s)
    expect(known.every((line) => !line.isClosed())).toBe(true)
    expect(await refused()).toBe(before + 1)

    strangers[0]?.socket.destroy()
    await within(async () => {
      const line = await open()
      line.socket.write(get('/healthz'))
      await within(() => expect(line.isClosed() || line.text() !== '').toBe(true))
      expect(line.text()).toMatch(/^HTTP\/1\.1 200/)
    })
  })
})

describe('connections that are kept', () => {
  const accepted = /^HTTP\/1\.1 202/
  const read = get('/domains')

  /** A gateway with room for few, on the ground of the other, so that it knows the same clients. */
  async function startSmall(settings: Record<string, string>): Promise<string> {
    const small = await startTestGateway(settings, gateway.ground)
    onTestFinished(() => small.stop())
    return small.url
  }

  async function ask(url: string, request: string, answer: RegExp): Promise<Line> {
    const line = await open(url)
    await line.ask(request, answer)
    return line
  }

  const publish = (url: string, { auth, topic } = site) =>
    ask(url, publication('', auth, `/${topic}`) + PACK, accepted)

  /** It was answered, told that this was the end, and ended. */
  async function endsWithItsAnswer(line: Line): Promise<void> {
    expect(line.text()).toMatch(/\r\nConnection: close\r\n/i)
    await within(() => expect(line.isClosed()).toBe(true))
    line.socket.destroy()
  }

  const areKept = (lines: readonly Line[]): boolean =>
    lines.every((line) => !line.isClosed() && !/\r\nConnection: close\r\n/i.test(line.text()))

  async function metric(url: string, series: string): Promise<number> {
    const line = await ask(url, get('/metrics', 'Connection: close\r\n'), /^HTTP\/1\.1 200/)
    await endsWithItsAnswer(line)
    const found = line
      .text()
      .split(/\r?\n/)
      .find((each) => each.startsWith(`${series} `))
    return Number(found?.slice(series.length + 1) ?? 0)
  }

  it('are bounded for each client: one more is answered, and ends with its answer', async () => {
    const url = await startSmall({ SLUICE_MAX_CLIENT_CONNECTIONS: '3' })
    const kept = [await publish(url), await publish(url), await publish(url)]
    await endsWithItsAnswer(await publish(url))
    await kept[0]?.ask(publication() + PACK, /HTTP\/1\.1 202.*HTTP\/1\.1 202/s)
    expect(areKept(kept)).toBe(true)
    expect(await metric(url, 'sluice_refused_total{protocol="http",reason="client_connections"}')).toBe(1)

    // They count together with those of the other protocols.
    const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'
    const handshake = `${upgrade}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: ${site.auth}\r\n`
    await ask(url, get(`/${site.topic}`, handshake), /^HTTP\/1\.1 429/)

    kept[0]?.socket.destroy()
    await within(async () => expect(areKept([await publish(url)])).toBe(true))
  })

  it('are bounded for each domain, and leave those of others their place', async () => {
    const url = await startSmall({ SLUICE_MAX_DOMAIN_CONNECTIONS: '3' })
    const other = await api.given.site()
    const kept = [await publish(url), await publish(url), await publish(url)]
    await endsWithItsAnswer(await publish(url))
    expect(areKept([...kept, await publish(url, other)])).toBe(true)
  })

  it('are bounded for each address from which people and devices read', async () => {
    const url = await startSmall({ SLUICE_MAX_CLIENT_CONNECTIONS: '3' })
    const asUser = read.replace('\r\n\r\n', `\r\nAuthorization: Bearer ${site.token}\r\n\r\n`)
    const messages = `/${site.domain.id}/channels/${site.channel.id}/messages`
    const asDevice = get(messages, `Authorization: ${site.auth}\r\n`)
    const ok = /^HTTP\/1\.1 200/
    const kept = [await ask(url, asUser, ok), await ask(url, asDevice, ok), await ask(url, asUser, ok)]
    await endsWithItsAnswer(await ask(url, asUser, ok))
    await endsWithItsAnswer(await ask(url, asDevice, ok))
    expect(areKept([...kept, await publish(url)])).toBe(true)
  })

  it('leave the last of all to health checks, metrics and sign-in', async () => {
    const url = await startSmall({ SLUICE_MAX_CONNECTIONS: '32', SLUICE_MAX_DOMAIN_CONNECTIONS: '20' })
    const other = await api.given.site()
    const kept: Line[] = []
    for (let i = 0; i < 30; i += 1) kept.push(await publish(url, i < 20 ? site : other))
    expect(areKept(kept)).toBe(true)
    await endsWithItsAnswer(await publish(url, other))
    const socket = await ask(
      url,
      get('/mqtt', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'),
      /^HTTP\/1\.1 503/,
    )
    await endsWithItsAnswer(socket)

    const ok = /^HTTP\/1\.1 200/
    await endsWithItsAnswer(await ask(url, get('/readyz', 'Connection: close\r\n'), ok))
    await within(async () => expect(await metric(url, 'sluice_connections{protocol="http"}')).toBe(31))
    const person = JSON.stringify({ username: site.person.username, password: site.person.password })
    const signIn = `POST /users/tokens/issue HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nContent-Length: ${person.length}\r\n\r\n${person}`
    await ask(url, signIn, /^HTTP\/1\.1 20[01]/)
  })
})
