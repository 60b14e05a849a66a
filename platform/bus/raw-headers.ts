import type { Msg } from 'nats'

/** What nats.js 2 keeps of a message until somebody asks: header block and payload in one, and where the first ends. */
interface Kept {
  readonly _rdata?: unknown
  readonly _msg?: { readonly hdr?: unknown }
}

/**
 * Names and values of a message's headers, in their order. From the bytes as they came: nats.js's own reading makes a map, an
 * array a value and a dozen strings of them, which was a third of what the writer did. Where nats.js no longer keeps the
 * bytes, or the message is none of its own, its reading is taken.
 */
export function readHeaders(msg: Pick<Msg, 'headers'>): [name: string, value: string][] {
  const { _rdata: bytes, _msg: info } = msg as Kept
  const end = info?.hdr
  if (typeof end !== 'number' || !(bytes instanceof Uint8Array)) {
    return Array.from(msg.headers ?? [], ([name, values]) =>
      values.map((value): [string, string] => [name, value]),
    ).flat()
  }
  const found: [string, string][] = []
  if (end <= 0) return found
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, end).toString()
  // The first line says `NATS/1.0`.
  let at = text.indexOf('\r\n') + 2
  for (let lineEnd = text.indexOf('\r\n', at); lineEnd > at; lineEnd = text.indexOf('\r\n', at)) {
    const colon = text.indexOf(':', at)
    if (colon > at && colon < lineEnd)
      found.push([text.slice(at, colon), text.slice(colon + 1, lineEnd).trim()])
    at = lineEnd + 2
  }
  return found
}
