import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { createAuthority } from '../../../adapters/authority-cache.ts'
import type { CachedAuthority } from '../../../adapters/authority-cache.ts'
import { createHttpAdapter } from '../../../adapters/http/adapter.ts'
import type { HttpAdapter } from '../../../adapters/http/adapter.ts'
import { createPublish } from '../../../adapters/publish.ts'
import type { Publish } from '../../../adapters/publish.ts'
import { createPublisher } from '../../../platform/bus/publisher.ts'
import type { Publisher } from '../../../platform/bus/publisher.ts'
import { InvalidInput } from '../../../platform/errors.ts'
import { createAddressReader } from '../../../platform/http/client-address.ts'
import { createMetrics } from '../../../platform/metrics.ts'
import type { Metrics } from '../../../platform/metrics.ts'
import { AuthorityTables } from '../../support/authority.ts'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'
import { captureLog } from '../../support/log.ts'
import { startUntoldTraffic } from '../../support/traffic.ts'

export const SENML = 'application/senml+json'
export const MAX_PAYLOAD_BYTES = 65_536

export interface HttpAdapterUnderTest {
  readonly bus: TestBus
  readonly publisher: Publisher
  readonly tables: AuthorityTables
  readonly authority: CachedAuthority
  readonly adapter: HttpAdapter
  readonly server: Server
  readonly port: number
  readonly metrics: Metrics
  readonly lines: readonly string[]
  /** The server's end of connections, by the port of the other end. */
  readonly connections: ReadonlyMap<number, Socket>
  /** Paths of the requests that `node:http` has read. */
  readonly handled: string[]
  /** What stands between the adapter and the stream. */
  intercept: Publish | undefined
  stop(): Promise<void>
}

/** @param ttlMs how long the authority's answers are remembered */
export async function startHttpAdapter(ttlMs: number): Promise<HttpAdapterUnderTest> {
  const { log, lines } = captureLog()
  const metrics = createMetrics()
  const bus = await startTestBus()
  const publisher = createPublisher(bus.bus)
  const tables = new AuthorityTables()
  const authority = createAuthority({ backend: tables, bus: bus.bus, limits: { refusalTtlMs: 1, ttlMs } })
  const publish = createPublish(publisher)
  const traffic = startUntoldTraffic(log)
  const adapter = createHttpAdapter({
    addressOf: createAddressReader([]),
    letIn: () => true,
    authority,
    traffic,
    publish: (message, done) => (test.intercept ?? publish)(message, done),
    log,
    metrics,
    maxPayloadBytes: MAX_PAYLOAD_BYTES,
    keepAliveS: 5,
    checkPayload: (_type, payload) =>
      Buffer.from(payload).includes('broken') ? new InvalidInput('record 0: n: missing') : undefined,
  })
  const handled: string[] = []
  const server = createServer((req, res) => {
    handled.push(req.url ?? '')
    if (!adapter.handle(req, res)) res.writeHead(404, { 'x-left': 'to others' }).end('{}')
  })
  const connections = new Map<number, Socket>()
  server.on('connection', (socket) => connections.set(socket.remotePort ?? 0, socket))
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  await authority.ready

  async function stop(): Promise<void> {
    await traffic.stop()
    server.closeAllConnections()
    await new Promise((resolve) => {
      server.close(resolve)
    })
    authority.stop()
    await publisher.stop()
    await bus.stop()
  }

  const { port } = server.address() as AddressInfo
  const test: HttpAdapterUnderTest = {
    bus,
    publisher,
    tables,
    authority,
    adapter,
    server,
    port,
    metrics,
    lines,
    connections,
    handled,
    intercept: undefined,
    stop,
  }
  return test
}
