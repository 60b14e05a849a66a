import { describe, expect, it } from 'vitest'
import { join } from 'node:path'
import { ROOT, runProgram } from '../support/program.ts'

const tool = (name: string, ...args: string[]) => runProgram(join(ROOT, 'node_modules', '.bin', name), args)

/** Each reads the whole project; on a busy machine that takes its time. */
const TIMEOUT_MS = 180_000

describe('the whole project', () => {
  it(
    'has types that hold',
    async () => {
      expect(await tool('tsc', '-p', '.')).toEqual({ status: 0, stdout: '', stderr: '' })
    },
    TIMEOUT_MS,
  )

  it(
    'passes the linter, the import table and floating promises included',
    async () => {
      const { status, stdout } = await tool('oxlint', '--type-aware', '--deny-warnings')
      expect(stdout).toContain('Found 0 warnings and 0 errors.')
      expect(status).toBe(0)
    },
    TIMEOUT_MS,
  )

  it(
    'is formatted',
    async () => {
      expect(await tool('prettier', '--list-different', '.')).toEqual({ status: 0, stdout: '', stderr: '' })
    },
    TIMEOUT_MS,
  )
})
