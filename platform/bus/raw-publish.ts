import type { MsgHdrs, NatsConnection } from 'nats'

/** One message as it goes to the server. */
export interface Publication {
  readonly subject: string
  readonly reply: string
  readonly headers: Uint8Array | undefined
  readonly payload: Uint8Array
}

/** What a connection of nats.js 2 sends its commands with. */
interface Kept {
  readonly protocol?: { sendCommand?: (bytes: Uint8Array) => void }
}

/** @returns the header block as it stands in the message; nats.js's types hide that it can say so */
export function encodeHeaders(headers: MsgHdrs): Uint8Array {
  return (headers as unknown as { encode(): Uint8Array }).encode()
}

const CR = 0x0d
const LF = 0x0a

/**
 * Hands messages to nats.js as one piece of bytes. Its own `publish` makes four small ones of each message, copies all of them
 * together afterwards, and was the largest part of publishing; where it no longer lets us by, it is called.
 */
export function sendPublications(connection: NatsConnection, publications: readonly Publication[]): void {
  const { protocol } = connection as unknown as Kept
  if (typeof protocol?.sendCommand === 'function') protocol.sendCommand(encode(publications))
  else for (const publication of publications) sendOne(connection, publication)
}

function encode(publications: readonly Publication[]): Buffer {
  let bytes = 0
  const lines: string[] = []
  for (const { subject, reply, headers, payload } of publications) {
    const headerBytes = headers?.length ?? 0
    const rest = `${headerBytes + payload.length}\r\n`
    const line = headers
      ? `HPUB ${subject} ${reply} ${headerBytes} ${rest}`
      : `PUB ${subject} ${reply} ${rest}`
    lines.push(line)
    bytes += Buffer.byteLength(line) + headerBytes + payload.length + 2
  }
  const buffer = Buffer.allocUnsafe(bytes)
  let at = 0
  for (const [i, { headers, payload }] of publications.entries()) {
    at += buffer.write(lines[i] as string, at)
    if (headers) {
      buffer.set(headers, at)
      at += headers.length
    }
    buffer.set(payload, at)
    at += payload.length
    buffer[at] = CR
    buffer[at + 1] = LF
    at += 2
  }
  return buffer
}

function sendOne(connection: NatsConnection, { subject, reply, headers, payload }: Publication): void {
  if (!headers) return connection.publish(subject, payload, { reply })
  connection.publish(subject, payload, { reply, headers: { encode: () => headers } as unknown as MsgHdrs })
}
