import { createAddressCount } from '../../platform/address-count.ts'
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
  const strangers = createAddressCount(limits.maxUnauthenticatedPerAddress)
  let connections = 0

  return {
    admit(address) {
      if (connections >= limits.maxConnections) return 'too_many_connections'
      if (!strangers.enter(address)) return 'too_many_unauthenticated'
      connections += 1
      return undefined
    },
    onAuthenticated: (address) => strangers.leave(address),
    onClosed(address, wasAuthenticated) {
      connections -= 1
      if (!wasAuthenticated) strangers.leave(address)
    },
  }
}
