import { describe, expect, it, onTestFinished } from 'vitest'
import { VICTIMS, findFaults, startLoad, startStage } from '../support/faults.ts'

const TIMES = 10

describe.each([['stream'], ['stored']])('with SLUICE_ACK=%s', (ack) => {
  it.each(VICTIMS)(
    'what is acknowledged is stored, and nothing twice, when %s is killed ten times',
    async (victim) => {
      const stage = await startStage({ SLUICE_ACK: ack })
      onTestFinished(() => stage.stop())
      const load = await startLoad(stage)
      for (let time = 0; time < TIMES; time++) {
        await load.more(100)
        await stage.kill(victim)
      }
      await load.more(100)
      await load.stop()
      expect(await findFaults(stage, load.acknowledged)).toEqual({ missing: [], twice: [] })
    },
  )
})
