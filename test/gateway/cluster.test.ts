import { expect, it, onTestFinished } from 'vitest'
import { startCluster } from '../support/cluster.ts'
import { findStorageFaults, startClusterLoad } from '../support/cluster-load.ts'

// For a minute, with 300 clients: test/soak/cluster.test.ts.
it('every acknowledged message reaches every persistent session and the database, QoS 2 once, while processes are killed', async () => {
  const cluster = await startCluster()
  onTestFinished(() => cluster.stop())
  const load = await startClusterLoad(cluster, {
    channels: 2,
    publishers: 3,
    subscribers: 4,
    sockets: 2,
    pauseMs: 20,
  })
  onTestFinished(() => load.end())
  for (const node of cluster.nodes) {
    await load.more(100)
    await node.kill()
  }
  await load.more(100)
  await load.stop()
  expect(await load.findFaults()).toEqual({ missing: [], twice: [], disorder: [] })
  expect(await findStorageFaults(cluster, load.acknowledged)).toEqual({ missing: [], twice: [] })
}, 300_000)
