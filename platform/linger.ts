import type { Duplex } from 'node:stream'

/** How long a peer that we are done with has to take what we said last, and to close its side. */
const LINGER_MS = 2_000

/** Ends a connection behind what was said last; a peer that does not close its side in turn loses it after a moment. */
export function endAndLinger(stream: Duplex, lastWords?: string): void {
  if (stream.destroyed) return
  const timer = setTimeout(() => stream.destroy(), LINGER_MS)
  timer.unref()
  stream.once('close', () => clearTimeout(timer))
  // Read to the end, or the kernel answers unread bytes with a reset that may overtake what we said.
  stream.resume()
  if (lastWords === undefined) stream.end()
  else stream.end(lastWords)
}
