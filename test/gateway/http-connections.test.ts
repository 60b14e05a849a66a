import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
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

async function open(): Promise<Line> {
  const { port } = new URL(gateway.url)
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
