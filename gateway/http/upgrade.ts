import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'

export function isWebSocket({ headers }: IncomingMessage): boolean {
  return /(?:^|,)\s*websocket\s*(?:,|$)/i.test(headers.upgrade ?? '')
}

/** Of no meaning without the upgrade. */
const OF_UPGRADE: ReadonlySet<string> = new Set(['upgrade', 'http2-settings', 'connection'])

/**
 * Serves a request as though it had not asked for another protocol, which a server may do (RFC 9110 section 7.8): Java's
 * client and `curl --http2` offer HTTP/2 with every first request. `node:http` lets go of a connection that asks, whatever it
 * asks for, so it is handed to it as a new one, and the request once more without the question.
 */
export function serveWithoutUpgrade(
  server: Server,
  req: IncomingMessage,
  socket: Duplex,
  rest: Buffer,
): void {
  let head = `${req.method ?? ''} ${req.url ?? ''} HTTP/${req.httpVersion}\r\n`
  for (let at = 0; at < req.rawHeaders.length; at += 2) {
    const name = req.rawHeaders[at] ?? ''
    if (!OF_UPGRADE.has(name.toLowerCase())) head += `${name}: ${req.rawHeaders[at + 1] ?? ''}\r\n`
  }
  if (/(?:^|,)\s*close\s*(?:,|$)/i.test(req.headers.connection ?? '')) head += 'Connection: close\r\n'
  // One byte a character, as the headers were read.
  socket.unshift(Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), rest]))
  server.emit('connection', socket)
}
