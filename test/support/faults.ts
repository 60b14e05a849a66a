import { mkdtemp, chmod, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { inject } from 'vitest'
import type { EmbeddedServer } from '../../gateway/embedded/server.ts'
import { startPostgres } from '../../gateway/embedded/postgres.ts'
import { createLogger } from '../../platform/log.ts'
import { createApi } from './api.ts'
import { eventually } from './eventually.ts'
import { ADMIN } from './gateway.ts'
import { freePort, startTestNats } from './nats.ts'
import type { TestNats } from './nats.ts'
import { startProgram } from './program.ts'
import type { Program } from './program.ts'

export const VICTIMS = ['gateway', 'nats-server', 'postgres'] as const
export type Victim = (typeof VICTIMS)[number]

/** A gateway, a nats-server and a Postgres as processes of their own, each of which can be killed and started again. */
export interface Stage {
  readonly url: string
  /** `kill -9`, and up again. */
  kill(victim: Victim): Promise<void>
  /** All numbers that are stored, in order, as often as they are. */
  stored(): Promise<number[]>
  stop(): Promise<void>
}

export async function startStage(settings: Record<string, string> = {}): Promise<Stage> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-faults-'))
  // Started by root, Postgres runs as another user; that one must get in.
  await chmod(dir, 0o711)
  const [httpPort, natsPort, postgresPort] = [await freePort(), await freePort(), await freePort()]
  const url = `http://127.0.0.1:${httpPort}`

  // Syncing to disk, as in production: its own crash must lose nothing that it has committed.
  const runPostgres = () =>
    startPostgres({ dataDir: join(dir, 'db'), port: postgresPort, log: createLogger('fatal') })
  const runNats = () => startTestNats({ port: natsPort, dir })
  let postgres: EmbeddedServer = await runPostgres()
  let nats: TestNats = await runNats()
  let gateway: Program

  async function runGateway(): Promise<void> {
    gateway = startProgram(process.execPath, ['bin/start.mjs'], {
      env: {
        SLUICE_DATA_DIR: join(dir, 'gateway'),
        SLUICE_HTTP_PORT: String(httpPort),
        SLUICE_MQTT_PORT: '0',
        SLUICE_DATABASE_URL: postgres.url,
        SLUICE_NATS_URL: nats.url,
        SLUICE_NATS_SERVER: inject('natsServer'),
        SLUICE_ADMIN_USERNAME: ADMIN.username,
        SLUICE_ADMIN_PASSWORD: ADMIN.password,
        SLUICE_STREAM_MAX_BYTES: '268435456',
        ...settings,
      },
    })
    const { output, child } = gateway
    await eventually(
      'the gateway is up',
      () => output.stdout.includes('Try it:') || child.exitCode !== null,
      60_000,
    )
    if (child.exitCode !== null) throw new Error(`the gateway ended: ${output.stdout}${output.stderr}`)
  }

  async function endGateway(signal: NodeJS.Signals): Promise<void> {
    gateway.child.kill(signal)
    await gateway.ended
  }

  const restart: Record<Victim, () => Promise<void>> = {
    async gateway() {
      await endGateway('SIGKILL')
      await runGateway()
    },
    async 'nats-server'() {
      await nats.stop()
      nats = await runNats()
    },
    async postgres() {
      process.kill(postgres.pid, 'SIGKILL')
      await postgres.stop()
      postgres = await runPostgres()
    },
  }

  await runGateway()
  return {
    url,
    kill: (victim) => restart[victim](),
    async stored() {
      const db = new Client({ connectionString: postgres.url })
      await db.connect()
      try {
        const { rows } = await db.query<{ value: number }>('select value from samples order by value')
        return rows.map(({ value }) => value)
      } finally {
        await db.end()
      }
    },
    async stop() {
      await endGateway('SIGTERM')
      await postgres.stop()
      await nats.stop()
      await rm(dir, { recursive: true, force: true, maxRetries: 10 })
    },
  }
}

/** Publishers that send numbers, each once, and know which were acknowledged. */
export async function startLoad(stage: Stage, publishers = 8) {
  const api = createApi(stage.url)
  const site = await api.given.site()
  const acknowledged: number[] = []
  let next = 0
  let isOver = false

  async function publish(): Promise<void> {
    while (!isOver) {
      const value = next++
      const body = [{ n: `sensor${value % 10}`, v: value }]
      const status = await api.call('POST', `/${site.topic}`, { auth: site.auth, body }).then(
        (answer) => answer.status,
        () => 0,
      )
      if (status === 202) acknowledged.push(value)
      // The gateway is away: not so fast.
      else await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  const running = Promise.all(Array.from({ length: publishers }, publish))
  return {
    acknowledged,
    /** Waits until so many more are acknowledged: the load is under way again. */
    async more(count: number) {
      const from = acknowledged.length
      await eventually('messages are acknowledged', () => acknowledged.length >= from + count, 120_000)
    },
    async stop() {
      isOver = true
      await running
    },
  }
}

/** What is stored twice, and what was acknowledged and is not stored, once the writer has caught up. */
export async function findFaults(stage: Stage, acknowledged: readonly number[]) {
  let missing: number[] = []
  let stored: number[] = []
  await eventually(
    'all that was acknowledged is stored',
    async () => {
      stored = await stage.stored()
      const known = new Set(stored)
      missing = acknowledged.filter((value) => !known.has(value))
      return missing.length === 0
    },
    60_000,
  ).catch(() => undefined)
  return { missing, twice: stored.filter((value, i) => value === stored[i - 1]) }
}
