import { it } from 'vitest'
import { loseLeaders } from '../support/nats-cluster-run.ts'

it('with a copy on each of three NATS servers, what was acknowledged outlives the leaders of all streams, one after the other', async () => {
  await loseLeaders(['messages', 'sessions', 'retained', 'events', 'messages', 'sessions'])
})
