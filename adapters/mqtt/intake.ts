import type { Duplex } from 'node:stream'
import { Framer } from './framer.ts'
import type { Frame } from './framer.ts'

/** Who takes the packets of a connection. */
export interface Taker {
  readonly isClosed: boolean
  /** Whether the next packet may be looked at now. */
  readonly isReady: boolean
  /**
   * @param isBehindOthers packets for Aedes lie ahead of it
   * @returns whether the packet is for Aedes
   */
  take(frame: Frame, isBehindOthers: boolean): boolean
  /** Packets for Aedes that follow each other, as one piece, as they lie. */
  pass(packets: Buffer): void
  fail(error: unknown): void
  close(): void
}

/** What comes in on one connection: bytes become packets, and no more is read from the socket than somebody takes. */
export class Intake {
  readonly #stream: Duplex
  readonly #taker: Taker
  readonly #framer: Framer
  #isAdvancing = false
  #isEnded = false

  /** @param limitBytes of the largest packet */
  constructor(stream: Duplex, taker: Taker, limitBytes: number) {
    this.#stream = stream
    this.#taker = taker
    this.#framer = new Framer(limitBytes)
    stream.on('data', this.#onData)
  }

  /** Whether the peer sends no more. */
  get isEnded(): boolean {
    return this.#isEnded
  }

  /** Bytes of the largest packet from here on. */
  limit(bytes: number): void {
    this.#framer.limitBytes = bytes
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#framer.append(chunk)
    this.advance()
  }

  /** The peer sends no more. What it sent before still counts: many publish, say DISCONNECT and are gone. */
  end(): void {
    this.#isEnded = true
    this.advance()
  }

  /** Nothing that comes is looked at any more. */
  stop(): void {
    this.#stream.off('data', this.#onData)
  }

  /** Goes on with what has come, as far as it is taken. */
  advance(): void {
    if (this.#isAdvancing) return
    this.#isAdvancing = true
    const taker = this.#taker
    try {
      this.#readPackets()
    } catch (error) {
      taker.fail(error)
    } finally {
      this.#isAdvancing = false
    }
    if (taker.isClosed) return
    if (!taker.isReady) this.#stream.pause()
    else if (this.#isEnded) taker.close()
    else this.#stream.resume()
  }

  #readPackets(): void {
    const taker = this.#taker
    let run: Frame | undefined
    let runEnd = 0
    while (taker.isReady) {
      const frame = this.#framer.next()
      if (!frame) break
      if (taker.take(frame, run !== undefined)) {
        run ??= frame
        runEnd = frame.end
      } else if (run) {
        taker.pass(run.bytes.subarray(run.start, runEnd))
        run = undefined
      }
    }
    if (run) taker.pass(run.bytes.subarray(run.start, runEnd))
  }
}
