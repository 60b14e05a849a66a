import type { Socket } from 'node:net'
import type { ConnectionQuota, Holder } from '../../adapters/quota.ts'
import { createAddressCount } from '../../platform/address-count.ts'
import { plainAddress } from '../../platform/buckets.ts'
import { QuotaExceeded } from '../../platform/errors.ts'
import type { Tally } from '../../platform/metrics.ts'

/** Connections to the HTTP ports, and who of them has not shown yet who he is. */
export interface Strangers {
  /** Counts a connection in. @returns `false` when it is one too many */
  admit(socket: Socket): boolean
  /**
   * Whoever is at the other end has shown who he is. The connection counts for him until it closes, also when others use it
   * later.
   *
   * @returns `false` when he has as many as he may have: the connection is still a stranger's, and is to end with the answer
   */
  readonly letIn: (socket: Socket, holder: Holder) => boolean
  /** Whether one more may be let in or handed over; it is refused otherwise. */
  hasRoom(socket: Socket): boolean
  /** It speaks another protocol from now on, and somebody else finds out whose it is, and counts it for him. */
  handOver(socket: Socket): void
}

export interface StrangersOptions {
  readonly maxConnections: number
  /** Connections of one address over which nobody has shown who he is. */
  readonly maxPerAddress: number
  readonly quota: ConnectionQuota
  /** Shows how many there are, those handed over left out. */
  readonly open: Tally
  /** Whether an address is a proxy's, with many behind it. */
  readonly isShared: (address: string) => boolean
  readonly onRefused: (reason: string, address: string) => void
}

/** What part of all connections only strangers get: health checks, metrics, whoever signs in. */
const RESERVED = 1 / 16

interface Standing {
  readonly address: string
  readonly isShared: boolean
  kind: 'stranger' | 'let in' | 'handed over'
  holder: Holder | undefined
}

/**
 * Bounds the connections that strangers hold, and those that each of the others keeps: who has all there are keeps everybody
 * else out. A connection counts for its address until something that was asked over it was answered to somebody who is known.
 */
export function createStrangers(options: StrangersOptions): Strangers {
  const { maxConnections, quota, open, isShared, onRefused } = options
  const maxKnown = maxConnections - Math.floor(maxConnections * RESERVED)
  const counts = createAddressCount(options.maxPerAddress)
  const standings = new Map<Socket, Standing>()
  let known = 0

  function leaveStrangers(standing: Standing): void {
    if (!standing.isShared) counts.leave(standing.address)
  }

  function become(standing: Standing, kind: 'let in' | 'handed over'): void {
    if (standing.kind === 'stranger') {
      leaveStrangers(standing)
      known += 1
    }
    standing.kind = kind
  }

  function release(standing: Standing): void {
    if (standing.holder) quota.leave(standing.holder)
    standing.holder = undefined
  }

  function onClose(socket: Socket, standing: Standing): void {
    standings.delete(socket)
    release(standing)
    if (standing.kind === 'stranger') leaveStrangers(standing)
    else known -= 1
    if (standing.kind !== 'handed over') open.value -= 1
  }

  function hasRoom(socket: Socket): boolean {
    const standing = standings.get(socket)
    if (standing?.kind !== 'stranger' || known < maxKnown) return true
    onRefused('too_many_connections', standing.address)
    return false
  }

  return {
    hasRoom,

    letIn(socket, holder) {
      const standing = standings.get(socket)
      // Closed meanwhile, or let in before.
      if (standing?.kind !== 'stranger') return true
      if (!hasRoom(socket)) return false
      try {
        // Who makes a connection for each message is bounded by the rate of messages.
        quota.enter(holder, { isRateFree: true })
      } catch (error) {
        if (!(error instanceof QuotaExceeded)) throw error
        onRefused(error.code, standing.address)
        return false
      }
      standing.holder = holder
      become(standing, 'let in')
      return true
    },

    handOver(socket) {
      const standing = standings.get(socket)
      if (!standing) return
      release(standing)
      become(standing, 'handed over')
      open.value -= 1
    },

    admit(socket) {
      // Served anew, without the upgrade it asked for.
      if (standings.has(socket)) return true
      const address = plainAddress(socket.remoteAddress ?? '')
      if (standings.size >= maxConnections) {
        onRefused('too_many_connections', address)
        return false
      }
      const standing: Standing = {
        address,
        isShared: isShared(address),
        kind: 'stranger',
        holder: undefined,
      }
      if (!standing.isShared && !counts.enter(address)) {
        onRefused('too_many_unauthenticated', address)
        return false
      }
      standings.set(socket, standing)
      open.value += 1
      socket.once('close', () => onClose(socket, standing))
      return true
    },
  }
}
