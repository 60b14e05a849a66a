import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { readIntoShared } from '../../platform/shared-reads.ts'
import { fillRequestHead, isSameHead, readPlainRequest } from './request-head.ts'
import type { PlainRequest, RequestHead } from './request-head.ts'

export interface RepeatOptions<T> {
  readonly maxBodyBytes: number
  /** What a publication's path and type say; `undefined` when they are not those of a publication, or bad ones. */
  readonly read: (path: string, contentType: string | undefined) => T | undefined
  /**
   * Takes a publication.
   *
   * @param answered called once with the whole answer, unless `false` is returned
   * @returns `false` when it has to go the long way; nothing was done with it then
   */
  readonly serve: (
    plan: T,
    authorization: string,
    payload: Buffer,
    answered: (answer: string) => void,
  ) => boolean
}

interface ConnectionOptions<T> extends RepeatOptions<T> {
  /** What it had taken is answered. */
  readonly onIdle: () => void
  /** It was given back to `node:http`, or is closed. */
  readonly onLeft: () => void
}

interface Known<T> {
  readonly head: RequestHead
  readonly plan: T
}

interface Slot {
  answer: string | undefined
}

/** A sender has a few topics in turn. */
const MAX_KNOWN = 4
/** Heads read on a connection that has fewer repeated ones: with so many topics in turn it is cheaper left alone. */
const MAX_READ = 32
/** Publications that wait for their answers; then nothing more is read. */
const MAX_WAITING = 64

type DataListener = (bytes: Buffer) => void

/**
 * A connection of `node:http` that is read by us first. Publications with a known head are served here; one with a new head is
 * handed on, and known when `node:http` has read the same in it as we have. Before anything else is handed on the connection
 * is given back for good: `node:http` may want to do with it what it likes.
 *
 * Relied on (Node 20 to 24, `lib/_http_server.js`): the server has one `data` listener on its socket, hears of nothing else
 * how its bytes come, and stops reading them in native code when another listener is added.
 */
export class KeptConnection<T> {
  readonly #socket: Socket
  readonly #options: ConnectionOptions<T>
  readonly #handOn: DataListener
  readonly #known: Known<T>[] = []
  readonly #slots: Slot[] = []
  /** What `node:http` read out of the bytes that were handed on last. */
  #begun: IncomingMessage[] = []
  /** Requests that were handed on and are not answered. */
  #handedOn = 0
  /** The first part of a request. */
  #part: Buffer | undefined
  /** Waits until all before it is answered. */
  #held: Buffer | undefined
  #headsRead = 0
  #repeats = 0
  #isEnding = false
  #isCorked = false

  /** @returns `undefined` when the socket is not as it is known to be */
  static takeOver<T>(socket: Socket, options: ConnectionOptions<T>): KeptConnection<T> | undefined {
    const [handOn, ...others] = socket.listeners('data') as DataListener[]
    if (!handOn || others.length > 0) return undefined
    return new KeptConnection(socket, handOn, options)
  }

  private constructor(socket: Socket, handOn: DataListener, options: ConnectionOptions<T>) {
    this.#socket = socket
    this.#handOn = handOn
    this.#options = options
    // In this order: without a listener for the moment between, the socket would stop.
    socket.on('data', this.#take)
    socket.off('data', handOn)
    readIntoShared(socket)
    socket.once('close', this.#leave)
  }

  get isIdle(): boolean {
    return this.#slots.length === 0
  }

  noteRequest(req: IncomingMessage, res: ServerResponse): void {
    this.#begun.push(req)
    this.#handedOn += 1
    res.once('close', () => {
      this.#handedOn -= 1
      this.#goOn()
    })
  }

  /** Everything that comes goes to `node:http` from now on. */
  takeNoMore(): void {
    this.#isEnding = true
  }

  readonly #take = (bytes: Buffer): void => {
    const all = this.#part ? Buffer.concat([this.#part, bytes]) : bytes
    const wasPart = this.#part !== undefined
    this.#part = undefined
    if (this.#held || this.#handedOn > 0 || this.#socket.writableNeedDrain) {
      this.#hold(all)
      return
    }
    let at = 0
    let taken: number | 'part' | undefined = 0
    while (at < all.length && !this.#isFull) {
      taken = this.#takeRepeat(all, at)
      if (typeof taken !== 'number') break
      at = taken
    }
    if (at === all.length) return
    const rest = at === 0 ? all : all.subarray(at)
    // The last of many in a row, cut by the end of what was read. A single one in more pieces than two is not worth it.
    if (taken === 'part' && (!wasPart || at > 0)) this.#part = rest
    else if (this.#slots.length > 0) this.#hold(rest)
    else this.#goLong(rest)
  }

  get #isFull(): boolean {
    return this.#isEnding || this.#slots.length >= MAX_WAITING
  }

  /** @returns where it ends; `undefined` when it is none, or has to go the long way */
  #takeRepeat(bytes: Buffer, at: number): number | 'part' | undefined {
    for (const { head, plan } of this.#known) {
      const filled = fillRequestHead(head, bytes, at, this.#options.maxBodyBytes)
      if (filled === 'part') return filled
      if (!filled) continue
      const slot: Slot = { answer: undefined }
      this.#slots.push(slot)
      const payload = bytes.subarray(filled.bodyAt, filled.endAt)
      const isTaken = this.#options.serve(plan, filled.authorization, payload, (answer) =>
        this.#answer(slot, answer),
      )
      if (!isTaken) {
        this.#slots.pop()
        return undefined
      }
      this.#repeats += 1
      return filled.endAt
    }
    return undefined
  }

  /** Answers go out in the order of the requests. */
  #answer(slot: Slot, answer: string): void {
    slot.answer = answer
    if (slot !== this.#slots[0]) return
    if (this.#slots.length > 1) this.#cork()
    for (let first = this.#slots[0]; first?.answer !== undefined; first = this.#slots[0]) {
      this.#slots.shift()
      if (this.#socket.writable) this.#socket.write(first.answer)
    }
    if (this.#slots.length === 0) this.#goOn()
  }

  /** The acknowledgements of others may be right behind, and go out together then. */
  #cork(): void {
    if (this.#isCorked) return
    this.#isCorked = true
    this.#socket.cork()
    process.nextTick(() => {
      this.#isCorked = false
      this.#socket.uncork()
    })
  }

  /** Reads nothing more until what was taken and handed on is answered, and the answers are gone. */
  #hold(bytes: Buffer): void {
    this.#held = this.#held ? Buffer.concat([this.#held, bytes]) : bytes
    this.#socket.pause()
    this.#goOn()
  }

  #goOn(): void {
    if (this.#slots.length > 0 || this.#handedOn > 0) return
    this.#options.onIdle()
    const bytes = this.#held
    if (!bytes || this.#socket.destroyed) return
    if (this.#socket.writableNeedDrain) {
      this.#socket.once('drain', () => this.#goOn())
      return
    }
    this.#held = undefined
    this.#socket.resume()
    this.#take(bytes)
  }

  #goLong(bytes: Buffer): void {
    const isWorthIt = this.#headsRead < MAX_READ || this.#repeats >= this.#headsRead
    const request = isWorthIt && !this.#isEnding ? readPlainRequest(bytes) : undefined
    const plan = request && this.#options.read(request.path, request.contentType)
    if (!plan) {
      this.#leave()
      this.#handOn(bytes)
      return
    }
    this.#headsRead += 1
    this.#begun = []
    this.#handOn(bytes)
    const [req, ...others] = this.#begun
    this.#begun = []
    if (req && others.length === 0 && isSame(req, request)) this.#learn({ head: request.head, plan })
    else this.#leave()
  }

  #learn(news: Known<T>): void {
    if (this.#known.some(({ head }) => isSameHead(head, news.head))) return
    this.#known.unshift(news)
    if (this.#known.length > MAX_KNOWN) this.#known.pop()
  }

  readonly #leave = (): void => {
    const socket = this.#socket
    socket.off('close', this.#leave)
    if (!socket.destroyed) {
      socket.on('data', this.#handOn)
      socket.off('data', this.#take)
    }
    this.#slots.length = 0
    this.#options.onLeft()
  }
}

function isSame(req: IncomingMessage, { path, rawHeaders }: PlainRequest): boolean {
  return (
    req.method === 'POST' &&
    req.httpVersion === '1.1' &&
    req.complete &&
    req.url === path &&
    req.rawHeaders.length === rawHeaders.length &&
    req.rawHeaders.every((text, index) => text === rawHeaders[index])
  )
}
