import { expect, onTestFinished } from 'vitest'
import { startCluster } from './cluster.ts'
import { findStorageFaults, startClusterLoad } from './cluster-load.ts'
import { startGround } from './gateway.ts'
import { startNatsCluster } from './nats-cluster.ts'

/** Kills the NATS servers that lead these streams, one after the other, while three processes work, and looks for what is lost. */
export async function loseLeaders(streams: readonly string[]): Promise<void> {
  const nats = await startNatsCluster()
  const ground = await startGround(() => Promise.resolve(nats))
  const cluster = await startCluster(ground, { SLUICE_STREAM_REPLICAS: '3' })
  onTestFinished(() => cluster.stop())
  const load = await startClusterLoad(cluster, {
    channels: 2,
    publishers: 2,
    subscribers: 2,
    // Over a socket a message comes back before the stream has it, which says nothing while nobody leads the stream.
    sockets: 0,
    pauseMs: 20,
  })
  onTestFinished(() => load.end())
  for (const stream of streams) {
    await load.more(100)
    await nats.killLeader(stream)
  }
  await load.more(100)
  await load.stop()
  expect(await load.findFaults()).toEqual({ missing: [], twice: [], disorder: [] })
  expect(await findStorageFaults(cluster, load.acknowledged)).toEqual({ missing: [], twice: [] })
}
