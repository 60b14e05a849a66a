import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { DomainError } from '../../platform/errors.ts'
import { CORS_HEADERS } from '../../platform/http/cors.ts'
import { errorBody, httpStatus } from '../../platform/http/status.ts'

/** Answers a handshake with the error's HTTP status and the body of api.md 1.4, and closes. */
export function rejectUpgrade(socket: Duplex, error: unknown): void {
  if (socket.destroyed) return
  const status = httpStatus(error)
  const body = JSON.stringify(errorBody(error))
  const headers: Record<string, string | number> = {
    ...CORS_HEADERS,
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    Connection: 'close',
  }
  if (error instanceof DomainError && error.retryAfterS !== undefined) {
    headers['Retry-After'] = error.retryAfterS
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.once('finish', () => socket.destroy())
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`)
}
