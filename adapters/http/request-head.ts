import { ownText } from '../../platform/own-text.ts'

/**
 * The head of a publication over HTTP/1.1 as it came over the wire, with two holes: the value of `Authorization`, so that
 * no secret is kept, and the digits of `Content-Length`, so that the payload may be longer or shorter the next time.
 */
export interface RequestHead {
  /** What stands before, between and behind the holes. */
  readonly pieces: readonly [Buffer, Buffer, Buffer]
  readonly isLengthFirst: boolean
}

/** A request that was read here, by the side of `node:http`. */
export interface PlainRequest {
  readonly head: RequestHead
  readonly path: string
  readonly contentType: string | undefined
  /** Names and values in turns, as `node:http` has them. */
  readonly rawHeaders: readonly string[]
}

/** What a request with a known head says in its holes. Offsets are into the bytes it was found in. */
export interface FilledHead {
  readonly authorization: string
  readonly bodyAt: number
  readonly endAt: number
}

const MAX_HEAD_BYTES = 2_048
/** Above this a length is not read here; whatever limit there is, it is lower. */
const MAX_LENGTH_DIGITS = 9

const HEAD_END = Buffer.from('\r\n\r\n')
const CR = 0x0d
const REQUEST_LINE = /^POST (\/[^\s?#]*) HTTP\/1\.1$/
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)$/

/** What makes more of a request than a head and `Content-Length` bytes, or of its answer more than an answer. */
const SPECIAL: ReadonlySet<string> = new Set(['transfer-encoding', 'expect', 'upgrade', 'trailer', 'te'])
/** Said twice, one of the two would count. */
const ONCE: ReadonlySet<string> = new Set(['authorization', 'content-length', 'content-type', 'connection'])

/**
 * Reads bytes that are one plain `POST` and nothing else. Only what can be read in one way is read: anything unusual is left
 * to `node:http`.
 *
 * @returns `undefined` when they are not
 */
export function readPlainRequest(bytes: Buffer): PlainRequest | undefined {
  const end = bytes.subarray(0, MAX_HEAD_BYTES).indexOf(HEAD_END)
  if (end === -1) return undefined
  const [requestLine = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n')
  const path = REQUEST_LINE.exec(requestLine)?.[1]
  if (path === undefined) return undefined

  const rawHeaders: string[] = []
  const values = new Map<string, { value: string; at: number }>()
  let lineAt = requestLine.length + 2
  for (const line of lines) {
    const [, name = '', value = ''] = HEADER.exec(line) ?? []
    const key = name.toLowerCase()
    if (key === '' || SPECIAL.has(key) || (ONCE.has(key) && values.has(key))) return undefined
    rawHeaders.push(name, value)
    values.set(key, { value, at: lineAt + line.length - value.length })
    lineAt += line.length + 2
  }
  const authorization = values.get('authorization')
  const length = values.get('content-length')
  const contentType = values.get('content-type')
  if (!authorization || !length || !/^\d{1,9}$/.test(length.value)) return undefined
  if (!/^keep-alive$/i.test(values.get('connection')?.value ?? 'keep-alive')) return undefined
  const bodyAt = end + HEAD_END.length
  if (bytes.length !== bodyAt + Number(length.value)) return undefined

  const isLengthFirst = length.at < authorization.at
  const [first, second] = isLengthFirst ? [length, authorization] : [authorization, length]
  // Copies, of texts too: what they are cut from holds the secret.
  const copy = (from: number, to: number) => Buffer.from(bytes.subarray(from, to))
  const pieces = [
    copy(0, first.at),
    copy(first.at + first.value.length, second.at),
    copy(second.at + second.value.length, bodyAt),
  ] as const
  return {
    head: { pieces, isLengthFirst },
    path: ownText(path),
    contentType: contentType && ownText(contentType.value),
    rawHeaders,
  }
}

export function isSameHead(one: RequestHead, other: RequestHead): boolean {
  return one.pieces.every((piece, index) => piece.equals(other.pieces[index] as Buffer))
}

/**
 * @param at where a request begins
 * @returns `part` when the bytes end before the request does, and it has this head as far as they go; `undefined` when it has
 *   another one, or announces a larger body
 */
export function fillRequestHead(
  head: RequestHead,
  bytes: Buffer,
  at: number,
  maxBodyBytes: number,
): FilledHead | 'part' | undefined {
  const [before, between, behind] = head.pieces
  const first = findHole(bytes, at, before)
  if (typeof first !== 'object') return first
  const second = findHole(bytes, first.end, between)
  if (typeof second !== 'object') return second
  const last = holds(bytes, second.end, behind)
  if (last !== true) return last

  const [length, authorization] = head.isLengthFirst ? [first, second] : [second, first]
  const payloadBytes = readDigits(bytes, length)
  const text = bytes.toString('latin1', authorization.at, authorization.end)
  // A line break or the like would be something else to `node:http`.
  if (payloadBytes === -1 || payloadBytes > maxBodyBytes || /[^\x20-\x7e]/.test(text)) return undefined
  const bodyAt = second.end + behind.length
  if (bodyAt + payloadBytes > bytes.length) return 'part'
  return { authorization: text, bodyAt, endAt: bodyAt + payloadBytes }
}

interface Hole {
  readonly at: number
  readonly end: number
}

/** The hole behind a piece: up to the end of the line. */
function findHole(bytes: Buffer, pieceAt: number, piece: Buffer): Hole | 'part' | undefined {
  const isThere = holds(bytes, pieceAt, piece)
  if (isThere !== true) return isThere
  const at = pieceAt + piece.length
  const end = bytes.indexOf(CR, at)
  if (end !== -1) return { at, end }
  return bytes.length - at <= MAX_HEAD_BYTES ? 'part' : undefined
}

function holds(bytes: Buffer, at: number, piece: Buffer): true | 'part' | undefined {
  const length = Math.min(piece.length, bytes.length - at)
  if (bytes.compare(piece, 0, length, at, at + length) !== 0) return undefined
  return length === piece.length ? true : 'part'
}

function readDigits(bytes: Buffer, { at: from, end: to }: Hole): number {
  if (to === from || to - from > MAX_LENGTH_DIGITS) return -1
  let number = 0
  for (let at = from; at < to; at += 1) {
    const digit = (bytes[at] as number) - 0x30
    if (digit < 0 || digit > 9) return -1
    number = number * 10 + digit
  }
  return number
}
