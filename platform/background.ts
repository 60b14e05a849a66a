import { Unavailable } from './errors.ts'
import type { Logger } from './log.ts'

const MAX_RUNNING = 1_000

/** Work that nobody waits for: the answer must not tell by its time whether there was anything to do. */
export interface Background {
  /**
   * Begins the work; its failure is logged.
   *
   * @param what for the log
   * @throws {Unavailable} too much is under way
   */
  run(what: string, work: () => Promise<void>): void
  /** Waits for what is under way. */
  stop(): Promise<void>
}

export function createBackground(log: Logger): Background {
  const running = new Set<Promise<void>>()

  return {
    run(what, work) {
      if (running.size >= MAX_RUNNING) throw new Unavailable('too much to do; try again later')
      const done = work()
        .catch((error: unknown) => log.warn({ err: error, what }, 'background work failed'))
        .finally(() => running.delete(done))
      running.add(done)
    },
    async stop() {
      while (running.size > 0) await Promise.all(running)
    },
  }
}
