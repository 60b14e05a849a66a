import type { Socket } from 'node:net'

/** Much more than one of many small messages; of something larger the rest comes with the next read. */
const SHARED_BYTES = 65_536

let shared: Buffer | undefined

/** What a socket of Node 20 to 24 has for its `onread` option (`lib/net.js`). */
interface Kept {
  readonly _handle?: { readonly useUserBuffer?: (buffer: Buffer) => void } | null
  [symbol: symbol]: unknown
}

/**
 * Lets the socket read into a buffer that all such sockets share; a copy of what came goes the socket's usual way. By itself
 * Node takes 64 KiB from the system for each read and gives nearly all of it back, which costs as much as the read: with
 * requests of some hundred bytes a fifth of all that an echo costs.
 *
 * `onread` is an option of sockets that one opens. Those that a server accepts have what it sets all the same, and are left as
 * they are where they have not.
 *
 * @returns whether it does from now on
 */
export function readIntoShared(socket: Socket): boolean {
  const kept = socket as unknown as Kept
  const symbols = Object.getOwnPropertySymbols(socket)
  const find = (name: string): symbol | undefined => symbols.find(({ description }) => description === name)
  const [buffer, callback] = [find('kBuffer'), find('kBufferCb')]
  const { _handle: handle } = kept
  if (!buffer || !callback || kept[buffer] !== null || !handle?.useUserBuffer) return false
  shared ??= Buffer.allocUnsafeSlow(SHARED_BYTES)
  kept[callback] = (bytes: number, from: Buffer): boolean => socket.push(Buffer.from(from.subarray(0, bytes)))
  kept[buffer] = shared
  handle.useUserBuffer(shared)
  return true
}
