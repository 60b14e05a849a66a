import { randomUUID } from 'node:crypto'
import { startTraffic } from '../../adapters/traffic.ts'
import type { Traffic } from '../../adapters/traffic.ts'
import type { Logger } from '../../platform/log.ts'

/** What adapters count, told to nobody: for tests of an adapter alone. */
export const startUntoldTraffic = (log: Logger): Traffic =>
  startTraffic({
    node: randomUUID(),
    sink: { report: () => Promise.resolve({ wantsAll: false }) },
    log,
  })
