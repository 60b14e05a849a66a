import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'nats'
import { eventually } from './eventually.ts'
import { freePort, startTestNats } from './nats.ts'
import type { TestNats } from './nats.ts'

/** Three NATS servers that keep streams together. */
export interface NatsCluster {
  /** All of them, as `SLUICE_NATS_URL` takes it. */
  readonly url: string
  /** Kills the server that leads the stream as a power cut does it, and starts it again; resolves when it has caught up. */
  killLeader(stream: string): Promise<void>
  stop(): Promise<void>
}

const SERVERS = 3
/** An election takes some seconds, and a server that comes back has to be told what it missed. */
const PATIENCE_MS = 60_000

export async function startNatsCluster(): Promise<NatsCluster> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-nats-cluster-'))
  const ports = await Promise.all(Array.from({ length: SERVERS * 2 }, freePort))
  const clientPorts = ports.slice(0, SERVERS)
  const routes = ports.slice(SERVERS).map((port) => `nats://127.0.0.1:${port}`)
  const url = clientPorts.map((port) => `nats://127.0.0.1:${port}`).join(',')

  const start = (index: number): Promise<TestNats> =>
    startTestNats({
      port: clientPorts[index] as number,
      dir: join(dir, String(index)),
      args: [
        `--name=server-${index}`,
        '--cluster_name=test',
        `--cluster=${routes[index]}`,
        `--routes=${routes.join(',')}`,
      ],
    })

  await Promise.all(clientPorts.map((_port, index) => mkdir(join(dir, String(index)))))
  const servers = await Promise.all(clientPorts.map((_port, index) => start(index)))
  const cluster: NatsCluster = {
    url,
    async killLeader(stream) {
      const index = Number((await leaderOf(url, stream)).split('-')[1])
      await (servers[index] as TestNats).stop()
      servers[index] = await start(index)
      await eventually('the server has caught up', () => isWhole(url, stream), PATIENCE_MS)
    },
    async stop() {
      await Promise.all(servers.map((server) => server.stop()))
      await rm(dir, { recursive: true, force: true })
    },
  }
  await eventually('the servers have a leader among them', () => isReady(url), PATIENCE_MS)
  return cluster
}

async function withManager<T>(url: string, work: (manager: Manager) => Promise<T>): Promise<T> {
  const connection = await connect({ servers: url.split(',') })
  try {
    return await work(await connection.jetstreamManager({ timeout: 1_000, checkAPI: false }))
  } finally {
    await connection.close()
  }
}
type Manager = Awaited<ReturnType<Awaited<ReturnType<typeof connect>>['jetstreamManager']>>

async function isReady(url: string): Promise<boolean> {
  try {
    await withManager(url, (manager) => manager.getAccountInfo())
    return true
  } catch {
    return false
  }
}

function leaderOf(url: string, stream: string): Promise<string> {
  return withManager(url, async (manager) => {
    const { cluster } = await manager.streams.info(stream)
    if (cluster?.leader === undefined) throw new Error(`nobody leads the stream ${stream}`)
    return cluster.leader
  })
}

/** Whether the stream has a leader that all others follow. */
async function isWhole(url: string, stream: string): Promise<boolean> {
  try {
    return await withManager(url, async (manager) => {
      const { cluster } = await manager.streams.info(stream)
      return (
        cluster?.leader !== undefined &&
        cluster.replicas?.length === SERVERS - 1 &&
        cluster.replicas.every(({ current, offline }) => current && !offline)
      )
    })
  } catch {
    return false
  }
}
