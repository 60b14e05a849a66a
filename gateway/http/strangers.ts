import type { Socket } from 'node:net'
import { createAddressCount } from '../../platform/address-count.ts'
import { plainAddress } from '../../platform/buckets.ts'

/** Connections to the HTTP ports, and who of them has not shown yet who he is. */
export interface Strangers {
  /** Counts a connection in. @returns `false` when it is one too many */
  admit(socket: Socket): boolean
  /** Whoever is at the other end has shown who he is, or somebody else counts him from now on. */
  readonly letIn: (socket: Socket) => void
}

export interface StrangersOptions {
  readonly maxConnections: number
  /** Connections of one address over which nobody has shown who he is. */
  readonly maxPerAddress: number
  /** Whether an address is a proxy's, with many behind it. */
  readonly isShared: (address: string) => boolean
  readonly onRefused: (reason: string, address: string) => void
}

/**
 * Bounds the connections that strangers hold: who has all there are keeps everybody else out. A connection counts for its
 * address until something that was asked over it was answered to somebody who is known.
 */
export function createStrangers(options: StrangersOptions): Strangers {
  const { maxConnections, isShared, onRefused } = options
  const counts = createAddressCount(options.maxPerAddress)
  const known = new WeakSet<Socket>()
  const strangers = new Map<Socket, string>()
  let connections = 0

  function letIn(socket: Socket): void {
    const address = strangers.get(socket)
    if (address === undefined) return
    strangers.delete(socket)
    counts.leave(address)
  }

  return {
    letIn,
    admit(socket) {
      // Served anew, without the upgrade it asked for.
      if (known.has(socket)) return true
      const address = plainAddress(socket.remoteAddress ?? '')
      if (connections >= maxConnections) {
        onRefused('too_many_connections', address)
        return false
      }
      if (!isShared(address)) {
        if (!counts.enter(address)) {
          onRefused('too_many_unauthenticated', address)
          return false
        }
        strangers.set(socket, address)
      }
      known.add(socket)
      connections += 1
      socket.once('close', () => {
        connections -= 1
        letIn(socket)
      })
      return true
    },
  }
}
