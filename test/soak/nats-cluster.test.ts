import { expect, it, onTestFinished } from 'vitest'
import { startCluster } from '../support/cluster.ts'
import { findStorageFaults, startClusterLoad } from '../support/cluster-load.ts'
import { startGround } from '../support/gateway.ts'
import { startNatsCluster } from '../support/nats-cluster.ts'

// Of each stream, and of those that everything waits for twice.
const STREAMS = ['messages', 'sessions', 'retained', 'events', 'messages', 'sessions']

it('with a copy on each of three NATS servers, what was acknowledged outlives the leaders of the streams, one after the other', async () => {
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
  for (const stream of STREAMS) {
    await load.more(100)
    await nats.killLeader(stream)
  }
  await load.more(100)
  await load.stop()
  expect(await load.findFaults()).toEqual({ missing: [], twice: [], disorder: [] })
  expect(await findStorageFaults(cluster, load.acknowledged)).toEqual({ missing: [], twice: [] })
})
