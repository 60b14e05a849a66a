import { DomainError } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'

export interface Refusals {
  /**
   * Counts and logs something that was refused.
   *
   * @param reason one of a closed set, never made from input: it is a label of a metric
   * @param fields ids and the like for the log line; no secret, token or payload
   */
  note(reason: string, fields?: Readonly<Record<string, unknown>>): void
  /** The same with the error's code as the reason. What is not a {@link DomainError} is a bug and is logged whole. */
  noteError(error: unknown, fields?: Readonly<Record<string, unknown>>): void
}

const WINDOW_MS = 10_000
const LINES_PER_WINDOW = 20

/**
 * One for each protocol. A hostile client can make refusals as fast as the network carries them, so each reason gets some
 * lines in each window of time; the first line of the next window says how many were left out. The counter counts all.
 */
export function createRefusals({
  protocol,
  log,
  metrics,
}: {
  protocol: string
  log: Logger
  metrics: Metrics
}): Refusals {
  const windows = new Map<string, { endsAtMs: number; lines: number; leftOut: number }>()

  function note(reason: string, fields: Readonly<Record<string, unknown>> = {}): void {
    metrics.refused(protocol, reason).value += 1
    const now = Date.now()
    let window = windows.get(reason)
    if (!window) {
      window = { endsAtMs: 0, lines: 0, leftOut: 0 }
      windows.set(reason, window)
    }
    if (now >= window.endsAtMs) {
      if (window.leftOut > 0) log.info({ protocol, reason, count: window.leftOut }, 'refused, lines left out')
      Object.assign(window, { endsAtMs: now + WINDOW_MS, lines: 0, leftOut: 0 })
    }
    if (window.lines < LINES_PER_WINDOW) {
      window.lines += 1
      log.info({ protocol, reason, ...fields }, 'refused')
    } else {
      window.leftOut += 1
    }
  }

  return {
    note,
    noteError(error, fields) {
      if (error instanceof DomainError) {
        note(error.code, fields)
      } else {
        metrics.refused(protocol, 'internal').value += 1
        log.error({ err: error, protocol, ...fields }, 'request failed')
      }
    },
  }
}
