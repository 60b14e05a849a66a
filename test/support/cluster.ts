import { inject } from 'vitest'
import { eventually } from './eventually.ts'
import { ADMIN, startGround } from './gateway.ts'
import type { Ground } from './gateway.ts'
import { freePort } from './nats.ts'
import { startProgram } from './program.ts'
import type { Program } from './program.ts'

/** Processes of one gateway on one NATS and one Postgres, each of which can be killed and started again. */
export interface Cluster {
  readonly ground: Ground
  readonly nodes: readonly Node[]
  stop(): Promise<void>
}

export interface Node {
  readonly url: string
  readonly mqttPort: number
  /** `kill -9`, and up again. */
  kill(): Promise<void>
  /** `kill -9`. */
  die(): Promise<void>
  stop(): Promise<void>
}

const ROLES = ['api,http,mqtt,ws,writer,reader', 'api,http,mqtt,ws,writer,reader', 'http,mqtt,ws']

/**
 * Three processes; the third has adapters alone, and no database URL.
 *
 * @param settings of all of them, on top of the usual
 */
export async function startCluster(ground?: Ground, settings: Record<string, string> = {}): Promise<Cluster> {
  ground ??= await startGround()
  const nodes: Node[] = []
  for (const roles of ROLES) nodes.push(await startNode(ground, roles, settings))
  return {
    ground,
    nodes,
    async stop() {
      await Promise.all(nodes.map((node) => node.stop()))
      await ground.stop()
    },
  }
}

/** A process of its own. Without the role `api` it has no database. */
export async function startNode(
  ground: Ground,
  roles: string,
  settings: Record<string, string> = {},
): Promise<Node> {
  const [httpPort, mqttPort] = [await freePort(), await freePort()]
  let program: Program

  async function run(): Promise<void> {
    program = startProgram(process.execPath, ['bin/start.mjs'], {
      env: {
        SLUICE_ROLES: roles,
        SLUICE_HTTP_PORT: String(httpPort),
        SLUICE_MQTT_PORT: String(mqttPort),
        SLUICE_DATA_DIR: ground.dataDir,
        SLUICE_NATS_URL: ground.natsUrl,
        SLUICE_NATS_SERVER: inject('natsServer'),
        ...(roles.includes('api') ? { SLUICE_DATABASE_URL: ground.databaseUrl } : {}),
        SLUICE_ADMIN_USERNAME: ADMIN.username,
        SLUICE_ADMIN_PASSWORD: ADMIN.password,
        SLUICE_STREAM_MAX_BYTES: '268435456',
        SLUICE_MAX_QUEUED_MESSAGES: '100000',
        ...settings,
      },
    })
    const { output, child } = program
    await eventually(
      'a process of the cluster is up',
      () => output.stdout.includes('Try it:') || child.exitCode !== null,
      60_000,
    )
    if (child.exitCode !== null) throw new Error(`a process ended: ${output.stdout}${output.stderr}`)
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    program.child.kill(signal)
    await program.ended
  }

  await run()
  return {
    url: `http://127.0.0.1:${httpPort}`,
    mqttPort,
    async kill() {
      await end('SIGKILL')
      await run()
    },
    die: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  }
}
