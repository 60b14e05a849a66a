import { createServer } from 'node:http'
import type { IncomingMessage, RequestListener, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { whenAnswered } from '../../platform/http/answered.ts'
import { explainPort } from '../start-error.ts'

/** @returns `false` when the upgrade is not for this one */
export type UpgradeHandler = (req: IncomingMessage, socket: Duplex, head: Buffer) => boolean

export interface HttpServerOptions {
  readonly host: string
  readonly ports: readonly number[]
  readonly maxConnections: number
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

async function open(options: HttpServerOptions, port: number): Promise<Server> {
  const server = createServer({
    keepAliveTimeout: KEEP_ALIVE_S * 1_000,
    headersTimeout: 15_000,
    requestTimeout: 30_000,
  })
  server.maxConnections = options.maxConnections
  server.on('request', options.onRequest)
  server.on('upgrade', (req, socket, head) => {
    socket.on('error', () => socket.destroy())
    if (!options.onUpgrade.some((handle) => handle(req, socket, head))) refuseUpgrade(socket)
  })
  server.on('clientError', (_error, socket) => {
    if (socket.writable) {
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    } else {
      socket.destroy()
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(explainPort(error, port, 'SLUICE_HTTP_PORT')))
    server.listen({ port, host: options.host }, resolve)
  })
  return server
}

const NO_UPGRADE = JSON.stringify({ error: 'not_found', message: 'no WebSocket here' })

function refuseUpgrade(socket: Duplex): void {
  socket.end(
    `HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: ${NO_UPGRADE.length}\r\nConnection: close\r\n\r\n${NO_UPGRADE}`,
  )
}
