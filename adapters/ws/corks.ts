import type { Writable } from 'node:stream'

/** Holds what is written to a socket until the end of the turn of the event loop. */
export interface Corks {
  cork(socket: Writable): void
  /** Writes what is held for this socket now. */
  uncork(socket: Writable): void
}

/**
 * Frames that reach a socket in one turn leave in one write. Of a fan-out nearly all time goes into writes, and ws makes one
 * for each frame.
 */
export function createCorks(): Corks {
  let corked = new Set<Writable>()

  function uncorkAll(): void {
    const sockets = corked
    corked = new Set()
    for (const socket of sockets) socket.uncork()
  }

  return {
    cork(socket) {
      if (corked.has(socket)) return
      if (corked.size === 0) setImmediate(uncorkAll)
      corked.add(socket)
      socket.cork()
    },
    uncork(socket) {
      if (corked.delete(socket)) socket.uncork()
    },
  }
}
