import { describe, expect, it } from 'vitest'
import { createRepeats } from '../../../platform/bus/repeats.ts'
import { garbageCollector } from '../../support/garbage.ts'

describe('ids of messages that were seen', () => {
  it('are told from new ones, of the last thousands', () => {
    const repeats = createRepeats(100)
    for (let i = 0; i < 1_000; i += 1) {
      expect(repeats.has(`id ${i}`)).toBe(false)
      expect(repeats.has(`id ${Math.max(0, i - 99)}`)).toBe(true)
    }
    expect(repeats.has('id 0')).toBe(false)
  })

  it('keep nothing of the header blocks in which they came', () => {
    const collect = garbageCollector()
    const repeats = createRepeats()
    collect()
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < 2_000; i += 1) {
      const id = `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`
      const block = Buffer.from(
        `Nats-Msg-Id: ${id}\r\nSluice-User-Property: ${'p'.repeat(10_000)}`,
      ).toString()
      repeats.has(block.slice(13, 13 + id.length))
    }
    collect()
    // The blocks are twenty megabytes.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(2_000_000)
    expect(repeats.has('00000000-0000-4000-8000-000000000007')).toBe(true)
  })
})
