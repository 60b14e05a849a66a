import { afterEach, describe, expect, it, vi } from 'vitest'
import { createLogLimit } from '../../platform/log-limit.ts'

afterEach(() => {
  vi.useRealTimers()
})

describe('a bound on lines of the log', () => {
  it('lets so many of each kind through in a window, and says later how many were left out', () => {
    vi.useFakeTimers()
    const limit = createLogLimit({ lines: 2, windowMs: 1_000 })

    expect(['a', 'a', 'a', 'a', 'b'].map((kind) => limit.admit(kind))).toEqual([
      0,
      0,
      undefined,
      undefined,
      0,
    ])

    vi.advanceTimersByTime(1_000)
    expect(['a', 'a', 'a', 'b'].map((kind) => limit.admit(kind))).toEqual([2, 0, undefined, 0])
  })
})
