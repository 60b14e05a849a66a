import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startGateway } from '../../gateway/start.ts'
import { createClient } from '../../platform/db/connect.ts'
import { loadConfig } from '../../platform/config.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { createLogger } from '../../platform/log.ts'
import type { Logger } from '../../platform/log.ts'
import { cloneDatabase } from './database.ts'
import { startTestNats } from './nats.ts'
import type { TestNats } from './nats.ts'

/** What several gateways stand on together. */
export interface Ground {
  readonly databaseUrl: string
  readonly natsUrl: string
  readonly dataDir: string
  /** Looks into the database, for what no answer shows, or changes what no request can, such as the time. */
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly Record<string, unknown>[] }>
  stop(): Promise<void>
}

export interface TestGateway {
  readonly url: string
  readonly mqttUrl: string
  /** The port of MQTT over TLS, where there is one. */
  readonly mqttsPort: number | undefined
  /** As SIGHUP does. */
  readonly reload: (() => void) | undefined
  /** What it serves over HTTP, the adapters' paths left out. */
  readonly endpoints: readonly Endpoint[]
  readonly ground: Ground
  stop(): Promise<void>
}

export const ADMIN = { username: 'root', password: 'correct horse battery staple' }

/** A database of its own, cloned from the migrated template, and a nats-server of its own. */
/** @param startNats a server of its own unless told otherwise */
export async function startGround(startNats: () => Promise<TestNats> = startTestNats): Promise<Ground> {
  const [database, nats, dataDir] = await Promise.all([
    cloneDatabase(),
    startNats(),
    mkdtemp(join(tmpdir(), 'sluice-gateway-')),
  ])
  return {
    databaseUrl: database.url,
    natsUrl: nats.url,
    dataDir,
    async query(text, values) {
      const client = createClient(database.url, 'test')
      await client.connect()
      try {
        return await client.query<Record<string, unknown>>(text, values)
      } finally {
        await client.end()
      }
    },
    async stop() {
      await Promise.all([database.drop(), nats.stop(), rm(dataDir, { recursive: true, force: true })])
    },
  }
}

/** The whole gateway on free ports, in this process; on a ground of its own unless it shares one. */
export async function startTestGateway(
  settings: Record<string, string> = {},
  shared?: Ground,
  log: Logger = createLogger('fatal'),
): Promise<TestGateway> {
  const ground = shared ?? (await startGround())
  const config = loadConfig({
    SLUICE_HTTP_PORT: '0',
    SLUICE_MQTT_PORT: '0',
    SLUICE_MQTTS_PORT: '0',
    SLUICE_DATA_DIR: ground.dataDir,
    SLUICE_DATABASE_URL: ground.databaseUrl,
    SLUICE_NATS_URL: ground.natsUrl,
    SLUICE_ADMIN_USERNAME: ADMIN.username,
    SLUICE_ADMIN_PASSWORD: ADMIN.password,
    SLUICE_STREAM_MAX_BYTES: '67108864',
    ...settings,
  })
  const gateway = await startGateway(config, log)
  return {
    url: `http://127.0.0.1:${gateway.httpPorts[0]}`,
    mqttUrl: `mqtt://127.0.0.1:${gateway.mqttPort}`,
    mqttsPort: gateway.mqttsPort,
    reload: gateway.reload,
    endpoints: gateway.endpoints,
    ground,
    async stop() {
      await gateway.stop()
      if (!shared) await ground.stop()
    },
  }
}
