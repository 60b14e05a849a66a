export interface LogLimit {
  /**
   * Whether another line of this kind may be written.
   *
   * @param kind one of a closed set, never made from input: each is remembered
   * @returns how many were left out since the last line that was written, or `undefined` when this one is to be left out too
   */
  admit(kind: string): number | undefined
}

/**
 * Bounds what strangers, and outages, can make us write: each kind of line gets so many in each window of time, and the
 * first of a later window can say how many are missing before it.
 */
export function createLogLimit({ lines = 20, windowMs = 10_000 } = {}): LogLimit {
  const windows = new Map<string, { endsAtMs: number; lines: number; leftOut: number }>()

  return {
    admit(kind) {
      const now = Date.now()
      let window = windows.get(kind)
      if (!window || now >= window.endsAtMs) {
        window = { endsAtMs: now + windowMs, lines: 0, leftOut: window?.leftOut ?? 0 }
        windows.set(kind, window)
      }
      if (window.lines === lines) {
        window.leftOut += 1
        return undefined
      }
      window.lines += 1
      const { leftOut } = window
      window.leftOut = 0
      return leftOut
    },
  }
}
