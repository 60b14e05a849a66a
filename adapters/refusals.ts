import { DomainError } from '../platform/errors.ts'
import { createLogLimit } from '../platform/log-limit.ts'
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
  const limit = createLogLimit()

  function note(reason: string, fields: Readonly<Record<string, unknown>> = {}): void {
    metrics.refused(protocol, reason).value += 1
    const leftOut = limit.admit(reason)
    if (leftOut === undefined) return
    if (leftOut > 0) log.info({ protocol, reason, count: leftOut }, 'refused, lines left out')
    log.info({ protocol, reason, ...fields }, 'refused')
  }

  return {
    note,
    noteError(error, fields) {
      if (error instanceof DomainError) {
        note(error.code, fields)
        return
      }
      metrics.refused(protocol, 'internal').value += 1
      const leftOut = limit.admit('internal')
      if (leftOut !== undefined) log.error({ err: error, protocol, leftOut, ...fields }, 'request failed')
    },
  }
}
