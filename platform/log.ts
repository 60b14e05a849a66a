import { pino } from 'pino'
import type { Logger } from 'pino'

export type { Logger } from 'pino'
export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'

/**
 * The process's logger: one JSON line an event, on standard error, so that standard output stays with the banner.
 * Secrets, tokens and payloads are never given to it; `redact` is the net below that rule.
 */
export function createLogger(level: LogLevel): Logger {
  return pino(
    {
      level,
      base: undefined,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: ['*.secret', '*.password', '*.token', '*.authorization'], censor: '[redacted]' },
    },
    pino.destination({ dest: 2, sync: true }),
  )
}
