import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { callAt } from '../../platform/alarm.ts'

const DAY_MS = 86_400_000

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('an alarm', () => {
  it('is called once, at its time', () => {
    const callback = vi.fn()
    callAt(Date.now() + 1_000, callback)
    vi.advanceTimersByTime(999)
    expect(callback).not.toHaveBeenCalled()
    vi.advanceTimersByTime(DAY_MS)
    expect(callback).toHaveBeenCalledOnce()
  })

  it('keeps a time that is further off than a timer can count', () => {
    const callback = vi.fn()
    callAt(Date.now() + 100 * DAY_MS, callback)
    vi.advanceTimersByTime(100 * DAY_MS - 1)
    expect(callback).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1)
    expect(callback).toHaveBeenCalledOnce()
  })

  it('of a time that has passed is called soon, and not at once', () => {
    const callback = vi.fn()
    callAt(Date.now() - DAY_MS, callback)
    expect(callback).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1)
    expect(callback).toHaveBeenCalledOnce()
  })

  it('leaves no timer behind when it was called or taken back, also after the first of several', () => {
    const callback = vi.fn()
    const takeBack = callAt(Date.now() + 100 * DAY_MS, callback)
    callAt(Date.now() + 1, callback)
    vi.advanceTimersByTime(30 * DAY_MS)
    takeBack()
    expect(vi.getTimerCount()).toBe(0)
    expect(callback).toHaveBeenCalledOnce()
  })
})
