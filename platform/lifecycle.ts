import type { Logger } from './log.ts'

type Stop = () => Promise<void> | void

/**
 * Every start registers its stop here. Stops run last-first, each to its end before the next, all under one deadline:
 * what was started on top of something ends before that something does.
 */
export interface Lifecycle {
  onStop(name: string, stop: Stop): void
  /** Runs the stops once; further calls wait for the same run. Never rejects: a stop that fails is logged. */
  stop(): Promise<void>
}

export function createLifecycle(log: Logger, deadlineMs = 9_000): Lifecycle {
  const stops: { name: string; stop: Stop }[] = []
  let stopping: Promise<void> | undefined

  async function runStops(): Promise<void> {
    const deadline = Date.now() + deadlineMs
    for (let entry = stops.pop(); entry; entry = stops.pop()) {
      const { name, stop } = entry
      let timer: NodeJS.Timeout | undefined
      // Even past the deadline each stop is called: a killed child beats an orphaned one.
      const timeout = new Promise<'late'>((resolve) => {
        timer = setTimeout(() => resolve('late'), Math.max(100, deadline - Date.now()))
      })
      try {
        if ((await Promise.race([Promise.resolve(stop()), timeout])) === 'late') {
          log.warn({ part: name }, 'part did not stop in time')
        }
      } catch (error) {
        log.error({ part: name, err: error }, 'part failed to stop')
      } finally {
        clearTimeout(timer)
      }
    }
  }

  return {
    onStop(name, stop) {
      stops.push({ name, stop })
    },
    stop() {
      stopping ??= runStops()
      return stopping
    },
  }
}
