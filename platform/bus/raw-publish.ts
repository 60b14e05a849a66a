import type { MsgHdrs, NatsConnection } from 'nats'

/** One message as it goes to the server. */
export interface Publication {
  readonly subject: string
  readonly reply: string
  /** The whole block; an empty one is none. */
  readonly headers: Uint8Array | string
  readonly headerBytes: number
  readonly payload: Uint8Array
}

/** What a connection of nats.js 2 sends its commands with. */
interface Kept {
  readonly protocol?: { sendCommand?: (bytes: Uint8Array) => void }
}

/** Headers as text, which is all that a message on its way out asks of them. */
class TextHeaders {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }

  encode(): Uint8Array {
    return Buffer.from(this.text)
  }
}

/** @param text the whole block, from `NATS/1.0` to the empty line */
export function textHeaders(text: string): MsgHdrs {
  return new TextHeaders(text) as unknown as MsgHdrs
}

/** Bytes of the header block, or its text. nats.js's types hide that its own headers can encode themselves. */
export function headerBlock(headers: MsgHdrs): Uint8Array | string {
  if (headers instanceof TextHeaders) return headers.text
  return (headers as unknown as { encode(): Uint8Array }).encode()
}

export function blockBytes(block: Uint8Array | string): number {
  return typeof block === 'string' ? Buffer.byteLength(block) : block.length
}

const CR = 0x0d
const LF = 0x0a

/**
 * Hands messages to nats.js as one piece of bytes. Its own `publish` makes four small ones of each message, copies all of them
 * together afterwards, and was the largest part of publishing; where it no longer lets us by, it is called.
 *
 * @throws {Error} the connection is closed for good
 */
export function sendPublications(connection: NatsConnection, publications: readonly Publication[]): void {
  // Its `publish` refuses too; what is given to it past that would neither leave nor fail.
  if (connection.isClosed()) throw new Error('the connection to NATS is closed')
  const { protocol } = connection as unknown as Kept
  if (typeof protocol?.sendCommand === 'function') protocol.sendCommand(encode(publications))
  else for (const publication of publications) sendOne(connection, publication)
}

function encode(publications: readonly Publication[]): Buffer {
  let bytes = 0
  const heads: string[] = []
  for (const { subject, reply, headers, headerBytes, payload } of publications) {
    const rest = `${headerBytes + payload.length}\r\n`
    const line =
      headerBytes === 0
        ? `PUB ${subject} ${reply} ${rest}`
        : `HPUB ${subject} ${reply} ${headerBytes} ${rest}`
    heads.push(typeof headers === 'string' ? line + headers : line)
    bytes += Buffer.byteLength(line) + headerBytes + payload.length + 2
  }
  const buffer = Buffer.allocUnsafe(bytes)
  let at = 0
  for (let i = 0; i < publications.length; i += 1) {
    const { headers, payload } = publications[i] as Publication
    at += buffer.write(heads[i] as string, at)
    if (typeof headers !== 'string') {
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

function sendOne(
  connection: NatsConnection,
  { subject, reply, headers, headerBytes, payload }: Publication,
): void {
  if (headerBytes === 0) return connection.publish(subject, payload, { reply })
  const block = typeof headers === 'string' ? Buffer.from(headers) : headers
  connection.publish(subject, payload, { reply, headers: { encode: () => block } as unknown as MsgHdrs })
}
