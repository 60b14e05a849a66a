import type { Duplex } from 'node:stream'
import type { RawData, WebSocket } from 'ws'
import { nowNs } from '../../platform/bus/message.ts'
import type { Message } from '../../platform/bus/message.ts'
import type { Following } from '../../platform/bus/subscriptions.ts'
import type { Tally } from '../../platform/metrics.ts'
import type { Admission } from '../admission.ts'
import type { Credentials } from '../authority.ts'
import type { Publish } from '../publish.ts'
import type { Refusals } from '../refusals.ts'
import { hasWildcard, matchesFilter } from '../topics.ts'
import type { Topic } from '../topics.ts'
import type { Usage } from '../traffic.ts'
import { CLOSE, closeCode } from './close-codes.ts'
import type { Corks } from './corks.ts'

/** What a socket was let in with. */
export interface Entitlement extends Admission {
  readonly topic: Topic
  /** Kept for as long as the socket lives, to ask again when they may have been revoked. */
  readonly credentials: Credentials
  readonly contentType: string
  readonly canPublish: boolean
  readonly canSubscribe: boolean
}

/** What all sockets of the adapter share. */
export interface ConnectionContext {
  readonly publish: Publish
  readonly refusals: Refusals
  readonly received: Tally
  readonly delivered: Tally
  readonly onDelivered: (receivedAtNs: bigint) => void
  /** Bytes that may wait for a slow reader. */
  readonly maxBufferedBytes: number
  readonly corks: Corks
}

/** Frames of one socket that may wait for JetStream; then we stop reading from it, and TCP slows its sender down. */
const MAX_IN_FLIGHT = 128

const BINARY = { binary: true } as const

/** One open socket. A class, because there are tens of thousands: methods are shared, and nothing is made per message. */
export class Connection {
  readonly entitlement: Entitlement
  /** Pings since the last pong. */
  unansweredPings = 0
  /** Where deliveries to a client are counted. */
  counted: Usage['client'] | undefined
  readonly #ws: WebSocket
  readonly #socket: Duplex
  readonly #context: ConnectionContext
  readonly #isFilter: boolean
  #following: Following | undefined
  #inFlight = 0
  #sent = 0
  #written = 0
  #writtenWhenWaiting: number | undefined

  /** @param socket what the WebSocket runs over */
  constructor(ws: WebSocket, socket: Duplex, entitlement: Entitlement, context: ConnectionContext) {
    this.entitlement = entitlement
    this.#ws = ws
    this.#socket = socket
    this.#context = context
    this.#isFilter = hasWildcard(entitlement.topic)
    ws.on('message', (data) => this.#take(data))
    ws.on('pong', () => {
      this.unansweredPings = 0
    })
    ws.on('error', (error: Error & { code?: string }) => {
      // ws closes by itself then, with 1002, 1007 or 1009. A broken connection is nobody's refusal.
      if (!error.code?.startsWith('WS_ERR_')) return
      const isTooLarge = error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH'
      this.#note(isTooLarge ? 'too_large' : 'bad_frame')
    })
    ws.on('close', () => this.#following?.stop())
  }

  /** The part in the channel that ends with the socket. */
  set following(following: Following) {
    this.#following = following
  }

  /** Hands a message of the channel to the socket when it is for the path's subtopic. */
  deliver(message: Message): void {
    const ws = this.#ws
    if (ws.readyState !== ws.OPEN || !matchesFilter(message.levels, this.entitlement.topic.levels)) return
    if (this.#isFull(message)) {
      // Much of it may only wait for the end of this turn, which is not the reader's fault.
      this.#context.corks.uncork(this.#socket)
      if (this.#isFull(message)) return this.refuse('slow_reader', CLOSE.tryAgainLater)
    }
    this.#sent += 1
    this.#context.delivered.value += 1
    if (this.counted) this.counted.delivered += 1
    this.#context.corks.cork(this.#socket)
    ws.send(message.payload, BINARY, this.#onWritten)
    this.#context.onDelivered(message.receivedAtNs)
  }

  /** A message may not have come, or any where it is not known which: the reader is to know, and to come back. */
  miss(message: Message | undefined): void {
    if (message && !matchesFilter(message.levels, this.entitlement.topic.levels)) return
    this.refuse('messages_missed', CLOSE.tryAgainLater)
  }

  /** Whether something waited to be written the last time this was asked, and nothing has been written since. */
  isStalled(): boolean {
    const isWaiting = this.#written < this.#sent
    const isStalled = isWaiting && this.#written === this.#writtenWhenWaiting
    this.#writtenWhenWaiting = isWaiting ? this.#written : undefined
    return isStalled
  }

  refuse(reason: string, code: number): void {
    if (this.#ws.readyState !== this.#ws.OPEN) return
    this.#note(reason)
    this.close(code, reason)
  }

  close(code: number, reason: string): void {
    this.#following?.stop()
    // A paused socket would not see the other side's close frame.
    this.#ws.resume()
    this.#ws.close(code, reason)
  }

  ping(): void {
    this.unansweredPings += 1
    this.#ws.ping()
  }

  terminate(reason?: string): void {
    if (reason !== undefined) this.#note(reason)
    this.#ws.terminate()
  }

  #note(reason: string): void {
    const { principal, address } = this.entitlement
    this.#context.refusals.note(reason, { publisher: principal.id, channel: address.channelId })
  }

  #isFull({ payload }: Message): boolean {
    return this.#ws.bufferedAmount + payload.length > this.#context.maxBufferedBytes
  }

  readonly #onWritten = (): void => {
    this.#written += 1
  }

  #take(data: RawData): void {
    const { canPublish, principal, address, topic, contentType } = this.entitlement
    const payload = data as Buffer
    // What was in the same read as the frame that got the socket closed.
    if (payload.length === 0 || this.#ws.readyState !== this.#ws.OPEN) return
    if (this.#isFilter) return this.refuse('wildcard_publish', CLOSE.policyViolation)
    if (!canPublish) return this.refuse('forbidden', CLOSE.policyViolation)
    this.#inFlight += 1
    if (this.#inFlight === MAX_IN_FLIGHT) this.#ws.pause()
    this.#context.publish(
      {
        domainId: address.domainId,
        channelId: address.channelId,
        levels: topic.levels,
        publisher: principal.id,
        protocol: 'ws',
        contentType,
        receivedAtNs: nowNs(),
        payload,
        qos: 0,
        retain: false,
      },
      this.#onPublished,
    )
  }

  readonly #onPublished = (error?: Error): void => {
    this.#inFlight -= 1
    if (this.#inFlight === MAX_IN_FLIGHT / 2 && this.#ws.isPaused) this.#ws.resume()
    if (!error) {
      this.#context.received.value += 1
      return
    }
    if (this.#ws.readyState !== this.#ws.OPEN) return
    const { principal, address } = this.entitlement
    this.#context.refusals.noteError(error, { publisher: principal.id, channel: address.channelId })
    this.close(closeCode(error), 'message not stored')
  }
}
