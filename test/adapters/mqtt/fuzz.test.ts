import { randomInt } from 'node:crypto'
import { describe, expect, inject, it } from 'vitest'
import { fuzzMqtt } from '../../fuzz/mqtt/run.ts'

const SECONDS = 20
const seed = randomInt(2 ** 31)

describe('sessions that are damaged at random', () => {
  it(
    `hurt nobody but themselves (npm run fuzz -- mqtt --seed ${seed})`,
    async () => {
      const settings = { SLUICE_NATS_SERVER: inject('natsServer') }
      const report = await fuzzMqtt({ seed, seconds: SECONDS, settings })
      expect(report.failures).toEqual([])
      expect(report.sessions).toBeGreaterThan(100)
      expect(report.canary.delivered).toBeGreaterThan(10)
    },
    SECONDS * 1_000 + 240_000,
  )
})
