import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCaretaker } from '../../../adapters/mqtt/caretaker.ts'
import type { Caretaker } from '../../../adapters/mqtt/caretaker.ts'
import { createSessionRecords } from '../../../adapters/mqtt/session-records.ts'
import { createNodes } from '../../../platform/bus/nodes.ts'
import type { Nodes } from '../../../platform/bus/nodes.ts'
import { createPublisher } from '../../../platform/bus/publisher.ts'
import type { Publisher } from '../../../platform/bus/publisher.ts'
import { createRecords } from '../../../platform/bus/records.ts'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'
import { eventually, LIMITS } from './support.ts'

let testBus: TestBus
let publisher: Publisher
let nodes: Nodes
let caretaker: Caretaker | undefined

beforeAll(async () => {
  testBus = await startTestBus()
  publisher = createPublisher(testBus.bus)
  nodes = createNodes(testBus.bus)
})
afterAll(async () => {
  caretaker?.stop()
  nodes.stop()
  await publisher.stop()
  await testBus.stop()
})

describe('the look through all sessions', () => {
  it('that fails is repeated after a longer while each time, however often it is asked for', async () => {
    const { bus, lines } = testBus
    const records = createSessionRecords(await createRecords(bus, publisher, 'sessions'), LIMITS)
    await (await bus.connection.jetstreamManager()).streams.delete('sessions')
    caretaker = createCaretaker({
      bus,
      nodes,
      records,
      wills: { settle: () => Promise.resolve(true) },
      maxKeptBytesPerClient: LIMITS.maxDomainSessionBytes,
      onEvict: () => undefined,
      firstRoundMs: 0,
      roundMs: 10,
    })
    const delays = await eventually(() => {
      const failures = lines
        .map((line) => JSON.parse(line) as { msg: string; delayMs?: number })
        .filter(({ msg }) => msg.startsWith('sessions could not be looked through'))
      expect(failures.length).toBeGreaterThanOrEqual(3)
      return failures.map(({ delayMs }) => delayMs)
    })
    expect(delays.slice(0, 3)).toEqual([1_000, 2_000, 4_000])
  })
})
