import { pino } from 'pino'
import type { Logger } from '../../platform/log.ts'

/** A logger whose lines can be read back, each as its JSON text. */
export function captureLog(): { log: Logger; lines: string[] } {
  const lines: string[] = []
  const log = pino(
    { level: 'debug' },
    {
      write: (line: string) => {
        lines.push(line)
      },
    },
  )
  return { log, lines }
}
