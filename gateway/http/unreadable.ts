import type { Duplex } from 'node:stream'
import { endAndLinger } from '../../platform/linger.ts'

/** Status of what the parser could not read, or did not get in time. */
const STATUS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}

/** Answers what is no HTTP, or never came to an end. */
export function answerUnreadable(error: Error & { code?: string }, socket: Duplex): void {
  const status = STATUS[error.code ?? ''] ?? '400 Bad Request'
  if (socket.writable)
    endAndLinger(socket, `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
  else socket.destroy()
}
