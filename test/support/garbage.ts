import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** V8's own collector, of the young objects alone or of all. */
export function garbageCollector(): (options?: { type: 'minor' }) => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as (options?: { type: 'minor' }) => void
}

/**
 * The least that is left of three runs, in bytes, once the young objects are collected: what V8 is at beside that, marking
 * the old ones above all, keeps some of a run, but what holds on to its objects does so each time.
 */
export async function leastLeft(run: () => unknown): Promise<number> {
  const collect = garbageCollector()
  let least = Infinity
  for (let runs = 0; runs < 3; runs += 1) {
    // All that there is now is old.
    collect()
    const before = process.memoryUsage().heapUsed
    await run()
    collect({ type: 'minor' })
    least = Math.min(least, process.memoryUsage().heapUsed - before)
  }
  return least
}
