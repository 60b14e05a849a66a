import { setTimeout } from 'node:timers/promises'
import type { RateLimited } from '../../platform/errors.ts'

/** How often somebody who waits asks at the least: many may wait for the same turn. */
const LONGEST_MS = 1_000

/**
 * Waits until there is room.
 *
 * @param delayOf why there is none, if there is none
 * @throws {RateLimited} nobody waits any more
 */
export async function waitForTurn(
  delayOf: () => RateLimited | undefined,
  isGivenUp: () => boolean,
): Promise<void> {
  let turnMs = 1
  for (let delay = delayOf(); delay; delay = delayOf()) {
    if (isGivenUp()) throw delay
    await setTimeout(Math.min(Math.max(turnMs, delay.waitS * 1_000), LONGEST_MS))
    turnMs *= 2
  }
}
