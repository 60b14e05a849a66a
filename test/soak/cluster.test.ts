import { expect, it, onTestFinished } from 'vitest'
import { startCluster } from '../support/cluster.ts'
import { findStorageFaults, startClusterLoad } from '../support/cluster-load.ts'

const MINUTE_MS = 60_000
const BETWEEN_KILLS_MS = 3_000

it('every acknowledged message reaches every persistent session and the database, QoS 2 once, with a process killed every few seconds', async () => {
  const cluster = await startCluster()
  onTestFinished(() => cluster.stop())
  const load = await startClusterLoad(cluster, {
    channels: 10,
    publishers: 10,
    subscribers: 20,
    sockets: 2,
    pauseMs: 200,
  })
  onTestFinished(() => load.end())
  await load.more(100)
  const endsAt = Date.now() + MINUTE_MS
  for (let kills = 0; Date.now() < endsAt; kills += 1) {
    await cluster.nodes[kills % cluster.nodes.length]?.kill()
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_KILLS_MS))
  }
  await load.more(100)
  await load.stop()
  expect(await load.findFaults()).toEqual({ missing: [], twice: [], disorder: [] })
  expect(await findStorageFaults(cluster, load.acknowledged)).toEqual({ missing: [], twice: [] })
})
