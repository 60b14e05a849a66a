import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'

/** A connection that hands out what comes in whole pieces, whatever the cut. */
export interface Piecewise {
  readonly socket: Socket
  write(bytes: Uint8Array): void
  /** Ends it without leaving the port in TIME_WAIT: thousands of connections a second would use all of them up. */
  end(): void
}

/**
 * @param onBytes is given what has arrived and not been taken; returns how many bytes of it were whole pieces
 * @param onLost the server has ended the connection
 */
export async function open(
  port: number,
  onBytes: (bytes: Buffer) => number,
  onLost: (error?: Error) => void = raise,
): Promise<Piecewise> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let rest: Buffer | undefined
  socket.on('data', (chunk: Buffer) => {
    const bytes = rest ? Buffer.concat([rest, chunk]) : chunk
    const taken = onBytes(bytes)
    rest = taken === bytes.length ? undefined : bytes.subarray(taken)
  })
  await once(socket, 'connect')
  let isEnded = false
  socket.on('error', (error) => isEnded || onLost(error))
  socket.on('close', () => isEnded || onLost())
  return {
    socket,
    write: (bytes) => void socket.write(bytes),
    end() {
      isEnded = true
      socket.resetAndDestroy()
    },
  }
}

function raise(error?: Error): void {
  throw error ?? new Error('the server has ended a connection')
}

/** Runs so many at a time. */
export async function inParallel<T>(
  count: number,
  atOnce: number,
  run: (i: number) => Promise<T>,
): Promise<T[]> {
  const results: T[] = []
  let next = 0
  async function work(): Promise<void> {
    while (next < count) {
      const i = next++
      results[i] = await run(i)
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, work))
  return results
}
