import { networkOf } from './buckets.ts'

/** How many there are of each address. Of IPv6 a /64 counts as one address, since one machine has all of it. */
export interface AddressCount {
  /** Counts one more. @returns `false` when there are as many as there may be; it is not counted then */
  enter(address: string): boolean
  leave(address: string): void
}

export function createAddressCount(maxPerAddress: number): AddressCount {
  const counts = new Map<string, number>()
  return {
    enter(address) {
      const network = networkOf(address)
      const count = counts.get(network) ?? 0
      if (count >= maxPerAddress) return false
      counts.set(network, count + 1)
      return true
    },
    leave(address) {
      const network = networkOf(address)
      const count = counts.get(network) ?? 0
      if (count > 1) counts.set(network, count - 1)
      else counts.delete(network)
    },
  }
}
