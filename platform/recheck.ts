import type { Logger } from './log.ts'

/** Live connections that wait to be asked again whether they may still be there. */
export interface RecheckQueue<C> {
  add(connection: C): void
  stop(): void
}

/**
 * One change may touch all connections of a node, so they are asked about some at a time. One that is added while it waits is
 * asked about once; one that is added while it is asked about, once more, because that answer may be from before the change.
 *
 * @param options.check closes the connection when it has lost what it had; when it throws, nobody could be asked, and it is
 *   called again after a second, until it is answered: revocation is never skipped
 */
export function createRecheckQueue<C>({
  check,
  log,
  concurrency = 32,
  retryMs = 1_000,
}: {
  check: (connection: C) => Promise<void>
  log: Logger
  concurrency?: number
  retryMs?: number
}): RecheckQueue<C> {
  const waiting = new Set<C>()
  const unanswered = new Set<C>()
  let running = 0
  let retry: NodeJS.Timeout | undefined
  let isStopped = false

  async function run(connection: C): Promise<void> {
    try {
      await check(connection)
    } catch (error) {
      if (unanswered.size === 0)
        log.warn({ err: error }, 'live connections could not be checked; trying again')
      unanswered.add(connection)
      retry ??= setTimeout(retryAll, retryMs)
    }
    running -= 1
    pump()
  }

  function retryAll(): void {
    retry = undefined
    for (const connection of unanswered) waiting.add(connection)
    unanswered.clear()
    pump()
  }

  function pump(): void {
    for (const connection of waiting) {
      if (isStopped || running >= concurrency) return
      waiting.delete(connection)
      running += 1
      // `run` handles every error itself.
      void run(connection)
    }
  }

  return {
    add(connection) {
      waiting.add(connection)
      pump()
    },
    stop() {
      isStopped = true
      clearTimeout(retry)
      waiting.clear()
      unanswered.clear()
    },
  }
}
