import type { Duplex } from 'node:stream'

/** How long a peer has to take what we said last, and to close its side. */
const LINGER_MS = 2_000

/** Status of what the parser could not read, or did not get in time. */
const STATUS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}

/** Answers what is no HTTP, or never came to an end. */
export function answerUnreadable(error: Error & { code?: string }, socket: Duplex): void {
  const status = STATUS[error.code ?? ''] ?? '400 Bad Request'
  if (socket.writable) finish(socket, `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
  else socket.destroy()
}

/** Says something and ends the connection; a peer that does not close its side in turn loses it after a moment. */
export function finish(socket: Duplex, text: string): void {
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  timer.unref()
  socket.once('close', () => clearTimeout(timer))
  // Read to the end, or the kernel answers unread bytes with a reset that may overtake what we said.
  socket.resume()
  socket.end(text)
}
