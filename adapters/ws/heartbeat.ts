import type { Connection } from './connection.ts'

const SLOTS = 30
const MISSED_PINGS = 2
/** A socket that takes nothing for two looks is stuck. */
const LOOK_TICKS = 10

/**
 * Pings each connection once in `intervalMs`, spread over the interval so that ten thousand pings do not fall on one moment.
 * Ends those that leave two pings unanswered (60 s with the contract's interval), and those that have data to write and wrote
 * none for a third of the interval (10 s).
 */
export function startHeartbeat(
  connections: ReadonlySet<Connection>,
  intervalMs: number,
): { add(connection: Connection): void; remove(connection: Connection): void; stop(): void } {
  const slots = Array.from({ length: SLOTS }, () => new Set<Connection>())
  const slotOf = new WeakMap<Connection, Set<Connection>>()
  let added = 0
  let tick = 0

  const timer = setInterval(() => {
    tick += 1
    for (const connection of slots[tick % SLOTS] ?? []) {
      if (connection.unansweredPings >= MISSED_PINGS) connection.terminate('ping_timeout')
      else connection.ping()
    }
    if (tick % LOOK_TICKS !== 0) return
    for (const connection of connections) if (connection.isStalled()) connection.terminate('write_timeout')
  }, intervalMs / SLOTS)
  timer.unref()

  return {
    add(connection) {
      added += 1
      const slot = slots[added % SLOTS] as Set<Connection>
      slot.add(connection)
      slotOf.set(connection, slot)
    },
    remove(connection) {
      slotOf.get(connection)?.delete(connection)
    },
    stop: () => clearInterval(timer),
  }
}
