// Node takes a longer delay for one millisecond.
const MAX_DELAY_MS = 2_147_483_647

/**
 * Calls back once, at a time of the clock, however far off; a time that has passed is now, but never before this returns.
 *
 * @param timeMs since the epoch
 * @returns takes it back
 */
export function callAt(timeMs: number, callback: () => void): () => void {
  let timer = arm()

  function arm(): NodeJS.Timeout {
    const delayMs = Math.min(Math.max(0, timeMs - Date.now()), MAX_DELAY_MS)
    return setTimeout(onTimer, delayMs).unref()
  }

  function onTimer(): void {
    // Timers count on a clock of their own, which may be ahead, and a far time takes several.
    if (Date.now() < timeMs) timer = arm()
    else callback()
  }

  return () => clearTimeout(timer)
}
