import { createInbox } from 'nats'
import type { Msg, MsgHdrs } from 'nats'
import { Conflict, InvalidInput, TooLarge, Unavailable } from '../errors.ts'
import type { Bus } from './connect.ts'
import { InFlight } from './in-flight.ts'
import { blockBytes, headerBlock, sendPublications } from './raw-publish.ts'
import type { Publication } from './raw-publish.ts'

/** Called once. Without an error: JetStream has the message on file, and said so in `ack`. */
export type PublishDone = (error?: Error, ack?: Uint8Array) => void

/** Publishes onto streams, each message acknowledged. */
export interface Publisher {
  /**
   * Never throws; what is wrong is handed to `done`, which may be called before this returns:
   * {@link Unavailable} when the message could not be stored or nobody knows whether it was (away, too slow), and
   * {@link StreamFull} of these when there is no room for it,
   * {@link Conflict} `wrong_revision` when the headers expect another place than the one found,
   * {@link TooLarge} when the server takes no message of this size, {@link InvalidInput} for a subject or header that
   * NATS cannot carry.
   */
  publish(subject: string, payload: Uint8Array, headers: MsgHdrs | undefined, done: PublishDone): void
  /** Messages that wait for their acknowledgement, and the bytes of their payloads. */
  readonly waiting: { readonly messages: number; readonly bytes: number }
  /** Refuses further messages and resolves when those in flight are answered or have timed out. */
  stop(): Promise<void>
}

export interface PublisherOptions {
  /** Messages that wait for their acknowledgement at most; more are refused at once. */
  readonly maxInFlight?: number
  /** Their payloads together at most: what a NATS server that does not read makes us keep. */
  readonly maxInFlightBytes?: number
  readonly timeoutMs?: number
}

interface Queued {
  readonly number: number
  readonly subject: string
  readonly payload: Uint8Array
  readonly headers: MsgHdrs | undefined
}

interface Waiting {
  readonly done: PublishDone
  readonly sizeBytes: number
  readonly deadlineMs: number
}

// nats-server ends the connection, everybody's, on a protocol line over 4,096 bytes (max_control_line, which INFO does not
// tell). The line holds the subject, the inbox (under 64 bytes) and two lengths.
const MAX_SUBJECT_BYTES = 3_900

/** Code of the error when a message names another predecessor than it has. */
export const WRONG_REVISION = 'wrong_revision'
// JetStream API error, `err_code` of nats-server's server/errors.json.
const WRONG_LAST_SEQUENCE = 10_071

/** The stream, or the server, has no room for the message. */
export class StreamFull extends Unavailable {}

// JetStream API errors, `err_code` of nats-server's server/errors.json: no room in the account, in the server, in the stream.
const NO_ROOM: ReadonlySet<number | undefined> = new Set([10_002, 10_023, 10_077])

const ACK_START = Buffer.from('{"stream":')
const QUOTE = 0x22
const FIRST_OF_ERROR = 0x65
const SEQ_KEY = Buffer.from('"seq":')

/** So many are sent before the turn is over: the server works on them while we read the rest. A twelfth more over HTTP. */
const EARLY = 16

/**
 * One inbox subscription serves all messages: each carries a reply subject with a sequence number, and its acknowledgement
 * is a map look-up and a byte search. nats.js's own `jetstream().publish` costs a promise, a timer and a JSON parse each,
 * and manages a seventh (design.md, "The bus").
 */
export function createPublisher(bus: Bus, options: PublisherOptions = {}): Publisher {
  const { maxInFlight = 65_536, maxInFlightBytes = 134_217_728, timeoutMs = 5_000 } = options
  const { connection } = bus
  const inbox = `${createInbox()}.`
  const inFlight = new InFlight<Waiting>(maxInFlight)
  let inFlightBytes = 0
  let queue: Queued[] = []
  let stopping: Promise<void> | undefined
  let onIdle: (() => void) | undefined

  /** An exception in the callback of one message must reach neither the next message nor nats.js's parser. */
  function call(done: PublishDone, error?: Error, ack?: Uint8Array): void {
    try {
      done(error, ack)
    } catch (thrown) {
      bus.log.error({ err: thrown }, 'callback of a publication failed')
    }
  }

  function finish(number: number, error?: Error, ack?: Uint8Array): void {
    const entry = inFlight.take(number)
    // Timed out before, or a second acknowledgement.
    if (!entry) return
    inFlightBytes -= entry.sizeBytes
    call(entry.done, error, ack)
    if (inFlight.size === 0) onIdle?.()
  }

  const subscription = connection.subscribe(`${inbox}*`, {
    callback(error, msg) {
      if (!error) finish(Number(msg.subject.slice(inbox.length)), ackError(msg), msg.data)
    },
  })

  const sweep = setInterval(
    () => {
      const now = performance.now()
      for (const number of inFlight.numbersOf(({ deadlineMs }) => deadlineMs <= now)) {
        finish(number, new Unavailable(`JetStream did not acknowledge within ${timeoutMs} ms`))
      }
    },
    Math.max(10, Math.min(250, timeoutMs / 4)),
  )
  sweep.unref()

  // The inbox has no subscriber while we are away, so nearly all acknowledgements of what is in flight are lost. Their
  // publishers learn it now rather than at the deadline: for both it means "send again", and now costs no memory.
  const removeOnDisconnect = bus.onDisconnect(() => {
    queue = []
    for (const number of inFlight.numbersOf(() => true)) {
      finish(number, new Unavailable('the bus was disconnected before JetStream acknowledged'))
    }
  })

  function publish(
    subject: string,
    payload: Uint8Array,
    headers: MsgHdrs | undefined,
    done: PublishDone,
  ): void {
    if (stopping) return call(done, new Unavailable('the gateway is stopping'))
    if (!bus.isConnected) return call(done, new Unavailable('the bus is disconnected'))
    if (inFlight.size >= maxInFlight || inFlightBytes + payload.length > maxInFlightBytes) {
      return call(done, new Unavailable('too many messages wait for JetStream'))
    }
    // UTF-8 needs at most three bytes a UTF-16 unit; counted exactly only when that could be too many.
    if (subject.length > MAX_SUBJECT_BYTES / 3 && Buffer.byteLength(subject) > MAX_SUBJECT_BYTES) {
      return call(done, new InvalidInput('topic is too long for the bus', { code: 'invalid_topic' }))
    }
    const number = inFlight.add({
      done,
      sizeBytes: payload.length,
      deadlineMs: performance.now() + timeoutMs,
    })
    inFlightBytes += payload.length
    if (queue.length === 0) setImmediate(send)
    queue.push({ number, subject, payload, headers })
    if (queue.length >= EARLY) send()
  }

  /**
   * Sends what came in during this turn of the event loop, from however many sockets, with few writes to the server. nats.js
   * alone writes after each socket's read; at 32 HTTP connections those writes were a third of all the time. To wait longer
   * for company, for the next acknowledgement or a millisecond, was measured: it saves nothing.
   */
  function send(): void {
    const queued = queue
    queue = []
    const publications: Publication[] = []
    for (const { number, subject, payload, headers } of queued) {
      const block = headers ? headerBlock(headers) : ''
      const publication = {
        subject,
        reply: inbox + number,
        headers: block,
        headerBytes: blockBytes(block),
        payload,
      }
      const error = flawOf(publication, bus)
      if (error) finish(number, error)
      else publications.push(publication)
    }
    if (publications.length === 0) return
    try {
      sendPublications(connection, publications)
    } catch (error) {
      const away = new Unavailable('the bus does not take messages', { cause: error })
      for (const { number } of queued) finish(number, away)
    }
  }

  function stop(): Promise<void> {
    stopping ??= new Promise<void>((resolve) => {
      onIdle = () => {
        clearInterval(sweep)
        removeOnDisconnect()
        subscription.unsubscribe()
        resolve()
      }
      // The sweep must run until then, also when nothing else keeps the process alive.
      sweep.ref()
      if (inFlight.size === 0) onIdle()
    })
    return stopping
  }

  return {
    publish,
    get waiting() {
      return { messages: inFlight.size, bytes: inFlightBytes }
    },
    stop,
  }
}

/**
 * {@link Publisher.publish} for those who wait for each message.
 *
 * @throws {Unavailable} @throws {TooLarge} @throws {InvalidInput}
 */
export function publishAndWait(
  publisher: Publisher,
  subject: string,
  payload: Uint8Array,
  headers?: MsgHdrs,
): Promise<void> {
  return new Promise((resolve, reject) => {
    publisher.publish(subject, payload, headers, (error) => {
      if (error) reject(error)
      else resolve()
    })
  })
}

/**
 * The place in the stream that an acknowledgement tells. Read by those who want it: not everybody should pay for it.
 *
 * @param ack as a publication's callback gets it
 */
export function ackSequence(ack: Uint8Array): number | undefined {
  const at = Buffer.from(ack.buffer, ack.byteOffset, ack.byteLength).indexOf(SEQ_KEY)
  if (at === -1) return undefined
  let seq = 0
  for (let i = at + SEQ_KEY.length; i < ack.length; i++) {
    const digit = (ack[i] as number) - 0x30
    if (digit < 0 || digit > 9) break
    seq = seq * 10 + digit
  }
  return seq === 0 ? undefined : seq
}

function ackError(msg: Msg): Error | undefined {
  const { data } = msg
  if (data.length === 0) {
    // No stream takes the subject, or JetStream is not there: the server says so at once (status 503).
    return new Unavailable('JetStream is away', {
      cause: new Error(`status ${msg.headers?.status ?? 'missing'}`),
    })
  }
  if (isPlainAck(data)) return undefined
  return refusalOf(Buffer.from(data.buffer, data.byteOffset, data.byteLength))
}

/** Whether it begins like an acknowledgement and has no word in it that could be `"error"`. Byte by byte: it is short. */
function isPlainAck(data: Uint8Array): boolean {
  for (let at = 0; at < ACK_START.length; at += 1) if (data[at] !== ACK_START[at]) return false
  for (let at = ACK_START.length; at < data.length; at += 1) {
    if (data[at] === QUOTE && data[at + 1] === FIRST_OF_ERROR) return false
  }
  return true
}

/** Reads an acknowledgement that does not look like one: a refusal, or the answer of some subscriber who is no stream. */
function refusalOf(bytes: Buffer): Error | undefined {
  let description = 'unreadable acknowledgement'
  try {
    const ack = JSON.parse(bytes.toString()) as {
      stream?: unknown
      error?: { description?: string; err_code?: number }
    } | null
    if (ack?.error?.err_code === WRONG_LAST_SEQUENCE) {
      return new Conflict(WRONG_REVISION, 'another value was there')
    }
    if (ack?.error === undefined && typeof ack?.stream === 'string') return undefined
    description = ack?.error?.description ?? description
    if (NO_ROOM.has(ack?.error?.err_code)) {
      return new StreamFull('JetStream has no room for the message', { cause: new Error(description) })
    }
  } catch {
    // Described above.
  }
  return new Unavailable('JetStream refused the message', { cause: new Error(description) })
}

function flawOf({ subject, headerBytes, payload }: Publication, bus: Bus): Error | undefined {
  if (headerBytes + payload.length > bus.maxPayloadBytes) return new TooLarge(bus.maxPayloadBytes)
  if (subject === '') return new InvalidInput('a message needs a subject', { code: 'invalid_topic' })
  return undefined
}
