import { expect, it } from 'vitest'
import { measureExport } from '../support/export-memory.ts'

it.each([
  ['application/x-ndjson', 1_000_000],
  ['text/csv', 1_000_001],
])(
  'an export of a million readings as %s keeps resident memory under 150 MB above idle',
  async (type, expected) => {
    const began = performance.now()
    const { lines, grownMib } = await measureExport(1_000_000, type)
    const seconds = (performance.now() - began) / 1_000
    process.stdout.write(`${type}: ${grownMib.toFixed(0)} MiB above idle, ${seconds.toFixed(0)} s in all\n`)
    expect(lines).toBe(expected)
    expect(grownMib).toBeLessThan(150)
  },
)
