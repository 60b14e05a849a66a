import { networkOf } from '../../platform/buckets.ts'
import type { MqttLimits } from './host.ts'

export interface Admission {
  /** Counts the connection in, or says why not. */
  admit(address: string): 'too_many_connections' | 'too_many_unauthenticated' | undefined
  onAuthenticated(address: string): void
  onClosed(address: string, wasAuthenticated: boolean): void
}

/**
 * How many connections there are, and how many of an address are still strangers. Those that have shown who they are do not
 * count for their address: many devices share one. Of IPv6 a /64 counts as one address, since one machine has all of it.
 */
export function createAdmission(
  limits: Pick<MqttLimits, 'maxConnections' | 'maxUnauthenticatedPerAddress'>,
): Admission {
  const strangers = new Map<string, number>()
  let connections = 0

  function leave(address: string): void {
    const network = networkOf(address)
    const count = strangers.get(network) ?? 0
    if (count > 1) strangers.set(network, count - 1)
    else strangers.delete(network)
  }

  return {
    admit(address) {
      if (connections >= limits.maxConnections) return 'too_many_connections'
      const network = networkOf(address)
      const count = strangers.get(network) ?? 0
      if (count >= limits.maxUnauthenticatedPerAddress) return 'too_many_unauthenticated'
      strangers.set(network, count + 1)
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
