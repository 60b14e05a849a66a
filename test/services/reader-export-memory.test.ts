import { expect, it } from 'vitest'
import { measureExport } from '../support/export-memory.ts'
import { insertLargeMessages } from '../support/readings.ts'

// The whole million is in test/soak/export.test.ts.
it('an export of a hundred thousand readings keeps the gateway small', { timeout: 180_000 }, async () => {
  const { lines, grownMib } = await measureExport(100_000, 'application/x-ndjson')
  expect(lines).toBe(100_000)
  expect(grownMib).toBeLessThan(150)
})

it('and so does one of small messages with large ones behind them', { timeout: 180_000 }, async () => {
  const stored = { insert: insertLargeMessages, query: 'format=large&dir=asc' }
  const { lines, grownMib } = await measureExport(2_000, 'application/x-ndjson', stored)
  expect(lines).toBe(2_000)
  expect(grownMib).toBeLessThan(150)
})
