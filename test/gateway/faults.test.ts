import { expect, it, onTestFinished } from 'vitest'
import { VICTIMS, findFaults, startLoad, startStage } from '../support/faults.ts'

// Ten times each: test/soak/faults.test.ts.
it('what is acknowledged is stored, and nothing twice, when gateway, nats-server and Postgres are killed under load', async () => {
  const stage = await startStage()
  onTestFinished(() => stage.stop())
  const load = await startLoad(stage)
  for (const victim of VICTIMS) {
    await load.more(50)
    await stage.kill(victim)
  }
  await load.more(50)
  await load.stop()
  expect(await findFaults(stage, load.acknowledged)).toEqual({ missing: [], twice: [] })
}, 180_000)
