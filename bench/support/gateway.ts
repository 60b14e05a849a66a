import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findFreePort } from '../../gateway/embedded/free-port.ts'
import { startPostgres } from '../../gateway/embedded/postgres.ts'
import { createLogger } from '../../platform/log.ts'

export interface BenchGateway {
  readonly url: string
  readonly databaseUrl: string
  stop(): Promise<void>
}

export const ADMIN = { username: 'root', password: 'correct horse battery staple' }

/** A gateway as it is shipped, in a process of its own, with a Postgres and a NATS of its own that keep their promises. */
export async function startBenchGateway(): Promise<BenchGateway> {
  const dataDir = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
  // Started by root, Postgres runs as another user; that one must get in.
  await chmod(dataDir, 0o711)
  const postgres = await startPostgres({ dataDir, log: createLogger('warn') })
  const natsServer = process.env['SLUICE_NATS_SERVER'] ?? cachedNatsServer()
  const gateway = await startGatewayProcess({
    SLUICE_DATA_DIR: dataDir,
    SLUICE_DATABASE_URL: postgres.url,
    ...(natsServer === undefined ? {} : { SLUICE_NATS_SERVER: natsServer }),
  })
  return {
    url: gateway.url,
    databaseUrl: postgres.url,
    async stop() {
      await gateway.stop()
      await postgres.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

export interface GatewayProcess {
  readonly url: string
  readonly port: number
  readonly mqttPort: number
  readonly pid: number
  stop(): Promise<void>
}

/** @param flags for Node, ahead of the program */
export async function startGatewayProcess(
  env: Record<string, string>,
  flags: readonly string[] = [],
): Promise<GatewayProcess> {
  // A port that was free may be somebody else's connection by the time it is listened on.
  for (let tries = 1; ; tries += 1) {
    const gateway = await launch(env, flags)
    if (gateway) return gateway
    if (tries === 3) throw new Error('the gateway did not start')
  }
}

/** @returns `undefined` when it ended before it was ready */
async function launch(
  env: Record<string, string>,
  flags: readonly string[],
): Promise<GatewayProcess | undefined> {
  const [port, mqttPort] = [await findFreePort(), await findFreePort()]
  const entry = new URL('../../gateway/main.js', import.meta.url).href
  const program = `import('${entry}').then((m) => m.main(process.env))`
  const child = spawn(process.execPath, [...flags, '-e', program], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...process.env,
      SLUICE_HTTP_PORT: String(port),
      SLUICE_MQTT_PORT: String(mqttPort),
      SLUICE_ADMIN_USERNAME: ADMIN.username,
      SLUICE_ADMIN_PASSWORD: ADMIN.password,
      SLUICE_LOG_LEVEL: 'error',
      SLUICE_MAX_BODY_BYTES: '1048576',
      ...env,
    },
  })
  const url = `http://127.0.0.1:${port}`
  while ((await fetch(`${url}/readyz`).catch(() => undefined))?.status !== 200) {
    if (child.exitCode !== null) return undefined
    await sleep(50)
  }
  return {
    url,
    port,
    mqttPort,
    pid: child.pid ?? 0,
    async stop() {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    },
  }
}

function cachedNatsServer(): string | undefined {
  const path = resolve('.cache', 'nats-server')
  return existsSync(path) ? path : undefined
}
