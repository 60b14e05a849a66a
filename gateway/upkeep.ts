import type { Logger } from '../platform/log.ts'

/** Does now and then what nobody asks for: keys that grow old, tokens that have expired. Any number of processes may. */
export function startUpkeep({
  maintain,
  everyS,
  log,
}: {
  maintain: () => Promise<void>
  everyS: number
  log: Logger
}): { stop(): Promise<void> } {
  let running: Promise<void> | undefined

  const timer = setInterval(() => {
    running ??= maintain()
      .catch((error: unknown) => log.warn({ err: error }, 'upkeep failed; it is tried again'))
      .finally(() => (running = undefined))
  }, everyS * 1_000)

  return {
    async stop() {
      clearInterval(timer)
      await running
    },
  }
}
