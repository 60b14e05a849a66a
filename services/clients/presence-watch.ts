import type { Nodes } from '../../platform/bus/nodes.ts'
import type { Logger } from '../../platform/log.ts'
import type { Presence } from './presence.ts'

const INTERVAL_MS = 5_000

/**
 * Takes off the connections of processes that end or go silent, and of those that did while nobody watched. Any number of
 * processes may run it.
 */
export function startPresenceWatch({
  presence,
  nodes,
  log,
}: {
  presence: Pick<Presence, 'removeGone'>
  nodes: Pick<Nodes, 'isAlive' | 'onGone'>
  log: Logger
}): { stop(): Promise<void> } {
  let running: Promise<void> | undefined
  let isFailing = false

  async function run(): Promise<void> {
    try {
      await presence.removeGone((node) => nodes.isAlive(node))
      isFailing = false
    } catch (error) {
      // Said once an outage.
      if (!isFailing) log.warn({ err: error }, 'clients of processes that are gone still count as connected')
      isFailing = true
    }
  }

  const start = (): void => {
    running ??= run().finally(() => (running = undefined))
  }
  const timer = setInterval(start, INTERVAL_MS)
  const removeOnGone = nodes.onGone(start)
  start()

  return {
    async stop() {
      clearInterval(timer)
      removeOnGone()
      await running
    },
  }
}
