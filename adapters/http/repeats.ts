import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { KeptConnection } from './kept-connection.ts'
import type { RepeatOptions } from './kept-connection.ts'

/** Publications whose heads came before on the same connection. */
export interface Repeats {
  /**
   * Told of every request that `node:http` has read, before anything else is done with it.
   *
   * @returns which one of its connection it is
   */
  noteRequest(req: IncomingMessage, res: ServerResponse): number
  /** Told of a publication that was accepted: its sender may send more like it. */
  follow(req: IncomingMessage, res: ServerResponse, number: number): void
  /** Takes nothing more by itself, and resolves when what it has taken is answered. */
  stop(): Promise<void>
}

/**
 * A device on a kept connection sends the same head again and again, with another payload behind it. What such a head means
 * was found out by `node:http` and by us when it first came. When the same bytes come again, there is nothing to find out but
 * whether their sender may still publish, and that is asked each time. It saves half of what a publication costs.
 */
export function createRepeats<T>(options: RepeatOptions<T>): Repeats {
  const counts = new WeakMap<Socket, number>()
  const followed = new Map<Socket, KeptConnection<T>>()
  const left = new WeakSet<Socket>()
  let isStopping = false
  let onIdle: (() => void) | undefined

  const isIdle = (): boolean => [...followed.values()].every((connection) => connection.isIdle)

  function followNow(socket: Socket): void {
    const connection = KeptConnection.takeOver(socket, {
      ...options,
      onIdle: () => onIdle && isIdle() && onIdle(),
      onLeft: () => {
        followed.delete(socket)
        left.add(socket)
        if (onIdle && isIdle()) onIdle()
      },
    })
    if (connection) followed.set(socket, connection)
    else left.add(socket)
  }

  return {
    noteRequest(req, res) {
      const number = (counts.get(req.socket) ?? 0) + 1
      counts.set(req.socket, number)
      followed.get(req.socket)?.noteRequest(req, res)
      return number
    },

    follow(req, res, number) {
      const { socket } = req
      if (isStopping || followed.has(socket) || left.has(socket)) return
      res.once('close', () => {
        // Between two requests, as far as can be seen: none is being answered, and of none has more than a part been read.
        const isBetween = counts.get(socket) === number && req.complete && res.writableFinished
        if (isBetween && !socket.destroyed && !isStopping && !followed.has(socket)) followNow(socket)
      })
    },

    async stop() {
      isStopping = true
      await new Promise<void>((resolve) => {
        onIdle = resolve
        for (const connection of followed.values()) connection.takeNoMore()
        if (isIdle()) resolve()
      })
    },
  }
}
