import type { MqttLimits } from './host.ts'

export interface Admission {
  /** Counts the connection in, or says why not. */
  admit(address: string): 'too_many_connections' | 'too_many_unauthenticated' | undefined
  onAuthenticated(address: string): void
  onClosed(address: string, wasAuthenticated: boolean): void
}

/**
 * How many connections there are, and how many of an address are still strangers. Those that have shown who they are do not
 * count for their address: many devices share one.
 */
export function createAdmission(
  limits: Pick<MqttLimits, 'maxConnections' | 'maxUnauthenticatedPerAddress'>,
): Admission {
  const strangers = new Map<string, number>()
  let connections = 0

  function leave(address: string): void {
    const count = strangers.get(address) ?? 0
    if (count > 1) strangers.set(address, count - 1)
    else strangers.delete(address)
  }

  return {
    admit(address) {
      if (connections >= limits.maxConnections) return 'too_many_connections'
      const count = strangers.get(address) ?? 0
      if (count >= limits.maxUnauthenticatedPerAddress) return 'too_many_unauthenticated'
      strangers.set(address, count + 1)
      connections += 1
      return undefined
    },
    onAuthenticated: leave,
    onClosed(address, wasAuthenticated) {
      connections -= 1
      if (!wasAuthenticated) leave(address)
    },
  }
}
