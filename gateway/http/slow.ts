import type { IncomingMessage, ServerResponse } from 'node:http'
import { createLogLimit } from '../../platform/log-limit.ts'
import type { Logger } from '../../platform/log.ts'
import type { Metrics } from '../../platform/metrics.ts'

export interface SlowReaderOptions {
  /** An answer of which its caller takes nothing for so long is cut off. */
  readonly sendTimeoutMs: number
  readonly addressOf: (req: IncomingMessage) => string
  readonly log: Logger
  readonly metrics: Pick<Metrics, 'refused'>
}

/**
 * Watches an answer from when it has been written whole, and so waits in memory for its caller. What is written piece by
 * piece its writer watches itself.
 */
export function createSlowReaderGuard({ sendTimeoutMs, addressOf, log, metrics }: SlowReaderOptions) {
  const slow = metrics.refused('http', 'slow')
  const lines = createLogLimit()

  return (req: IncomingMessage, res: ServerResponse): void => {
    // The timeout of a socket begins anew with each step forward.
    res.once('prefinish', () => res.setTimeout(sendTimeoutMs))
    res.on('timeout', () => {
      // That of an answer before it on the connection; this one is still being made.
      if (!res.writableEnded) return
      slow.value += 1
      const leftOut = lines.admit('slow')
      if (leftOut !== undefined) {
        log.info({ address: addressOf(req), leftOut }, 'slow reader of an answer dropped')
      }
      req.socket.destroy()
    })
  }
}
