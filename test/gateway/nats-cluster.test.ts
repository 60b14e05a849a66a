import { it } from 'vitest'
import { loseLeaders } from '../support/nats-cluster-run.ts'

// More of them: test/soak/nats-cluster.test.ts.
it('with a copy on each of three NATS servers, what was acknowledged outlives the one that led the stream', async () => {
  await loseLeaders(['messages'])
}, 300_000)
