import { createServer } from 'node:http'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { whenAnswered } from '../../platform/http/answered.ts'
import { endAndLinger } from '../../platform/linger.ts'
import { explainPort } from '../start-error.ts'
import type { Strangers } from './strangers.ts'
import { answerUnreadable } from './unreadable.ts'
import { isWebSocket, serveWithoutUpgrade } from './upgrade.ts'

/** @returns `false` when the upgrade is not for this one */
export type UpgradeHandler = (req: IncomingMessage, socket: Duplex, head: Buffer) => boolean

export interface HttpServerOptions {
  readonly host: string
  readonly ports: readonly number[]
  readonly strangers: Strangers
  readonly onRequest: RequestListener
  readonly onUpgrade: readonly UpgradeHandler[]
}

export interface HttpServers {
  readonly ports: readonly number[]
  /**
   * Takes no new connections and lets requests under way finish. Sockets that were upgraded are their adapters' to end: they
   * no longer count here.
   */
  stop(): Promise<void>
}

const DRAIN_MS = 3_000

/** A connection on which nothing comes is kept for so long. */
export const KEEP_ALIVE_S = 65

/**
 * Opens every port with the same handlers, or none of them.
 *
 * @throws {StartError} a port is taken, or may not be opened
 */
export async function listen(options: HttpServerOptions): Promise<HttpServers> {
  const requests = trackRequests(options.onRequest)
  const servers: Server[] = []

  async function stop(): Promise<void> {
    for (const server of servers) {
      server.close()
      server.closeIdleConnections()
    }
    await requests.finished(DRAIN_MS)
    for (const server of servers) server.closeAllConnections()
  }

  try {
    for (const port of options.ports)
      servers.push(await open({ ...options, onRequest: requests.onRequest }, port))
  } catch (error) {
    await stop()
    throw error
  }
  return { ports: servers.map((server) => (server.address() as AddressInfo).port), stop }
}

/** Counts requests under way. A server's own `close` waits for upgraded sockets too, and those have no end of their own. */
function trackRequests(serve: RequestListener) {
  let underWay = 0
  let onNone: (() => void) | undefined
  const onRequest: RequestListener = (req, res) => {
    underWay += 1
    whenAnswered(res, () => {
      underWay -= 1
      if (underWay === 0) onNone?.()
    })
    // A whole address is to be understood too (RFC 9112 section 3.2.2).
    if (req.url?.startsWith('/') === false) req.url = originForm(req.url)
    serve(req, res)
  }
  async function finished(withinMs: number): Promise<void> {
    if (underWay === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, withinMs)
      onNone = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
  return { onRequest, finished }
}

const originForm = (url: string) => url.replace(/^https?:\/\/[^/?]*\/?/i, '/')

/** Asks for a body that waits to be asked for, when somebody wants to read it: a stranger's is never sent. */
function askForBody(req: IncomingMessage, res: ServerResponse): void {
  // Who was not asked sends no body, or sends it all the same: nobody could tell what comes next from it.
  res.setHeader('Connection', 'close')
  req.on('newListener', function ask(event) {
    if (event !== 'data' && event !== 'readable') return
    req.off('newListener', ask)
    if (res.headersSent) return
    res.removeHeader('Connection')
    res.writeContinue()
  })
}

async function open({ strangers, ...options }: HttpServerOptions, port: number): Promise<Server> {
  const server = createServer({
    keepAliveTimeout: KEEP_ALIVE_S * 1_000,
    headersTimeout: 15_000,
    requestTimeout: 30_000,
  })
  server.on('connection', (socket) => {
    if (!strangers.admit(socket)) socket.destroy()
  })
  server.on('request', options.onRequest)
  server.on('checkContinue', (req, res) => {
    askForBody(req, res)
    options.onRequest(req, res)
  })
  server.on('upgrade', (req, socket, head) => {
    socket.on('error', () => socket.destroy())
    if (!isWebSocket(req)) serveWithoutUpgrade(server, req, socket, head)
    else if (!strangers.hasRoom(req.socket)) endAndLinger(socket, NO_ROOM)
    else if (options.onUpgrade.some((handle) => handle(req, socket, head))) strangers.handOver(req.socket)
    else endAndLinger(socket, NO_WEBSOCKET)
  })
  server.on('clientError', answerUnreadable)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(explainPort(error, port, 'SLUICE_HTTP_PORT')))
    server.listen({ port, host: options.host }, resolve)
  })
  return server
}

const NO_WEBSOCKET = refusal('404 Not Found', 'not_found', 'no WebSocket here')
const NO_ROOM = refusal('503 Service Unavailable', 'unavailable', 'too many connections')

/** @returns the whole answer */
function refusal(status: string, code: string, message: string): string {
  const body = JSON.stringify({ error: code, message })
  return (
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`
  )
}
