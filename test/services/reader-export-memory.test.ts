import { expect, it } from 'vitest'
import { measureExport } from '../support/export-memory.ts'

// The whole million is in test/soak/export.test.ts.
it('an export of a hundred thousand readings keeps the gateway small', { timeout: 180_000 }, async () => {
  const { lines, grownMib } = await measureExport(100_000, 'application/x-ndjson')
  expect(lines).toBe(100_000)
  expect(grownMib).toBeLessThan(150)
})
