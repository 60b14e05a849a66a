import { AckPolicy, DeliverPolicy, createInbox } from 'nats'
import type { Msg } from 'nats'
import type { Bus } from './connect.ts'

/** A message of a stream beside its place there. */
export interface Pulled {
  readonly seq: number
  /** Messages that the consumer has yet to bring, as the server knew when it sent this one. */
  readonly pending: number
  readonly msg: Msg
}

export interface PullerOptions {
  readonly stream: string
  /** First sequence number wanted. */
  readonly fromSeq: number
  /** Only messages on this subject, wildcards allowed. One subject: nats-server 2.9.10 knows no list of them. */
  readonly subject?: string
  /**
   * Messages and bytes that may wait at most, those that a request has yet to bring among them: memory stays bounded
   * whatever the backlog. While the reader works on what it took, as much again may gather.
   */
  readonly maxMessages?: number
  readonly maxBytes?: number
  /** Whether messages come with their payloads; they do unless told otherwise, and then a header says how large each is. */
  readonly hasPayloads?: boolean
}

/** Reads a stream from a place on, in order and without a gap. */
export interface Puller {
  /** Messages that were there to bring at the beginning. */
  readonly pending: number
  /**
   * Resolves with what has arrived, one message at least. While nobody asks, messages gather: busy readers get large
   * batches, idle ones get each message after `lingerMs`.
   *
   * @param waitMs resolves with none when none has come for so long; without it, waits as long as it takes
   *
   * Rejects when the order can no longer be vouched for (connection lost, consumer gone): begin anew where you stand.
   */
  next(lingerMs: number, waitMs?: number): Promise<Pulled[]>
  stop(): Promise<void>
}

/** The order of messages cannot be vouched for any more. */
export class PullerBroken extends Error {}

const EXPIRES_MS = 30_000
const HEARTBEAT_MS = 5_000
const INACTIVE_MS = 60_000
const NS = 1_000_000
const HEARTBEAT_STATUS = 100

/**
 * Makes a consumer of its own and pulls from it, one request at a time. Acknowledgements are not asked for: the place in
 * the stream is the reader's to keep. Uses nothing that nats-server 2.9.10 does not know.
 */
export async function createPuller(bus: Bus, options: PullerOptions): Promise<Puller> {
  const { stream, fromSeq, maxMessages = 5_000, maxBytes = 16 * 1_048_576 } = options
  const { connection } = bus
  const manager = await connection.jetstreamManager({ checkAPI: false })
  const { name: consumer, num_pending: pending } = await manager.consumers.add(stream, {
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: fromSeq,
    ...(options.subject === undefined ? {} : { filter_subject: options.subject }),
    ...(options.hasPayloads === false ? { headers_only: true } : {}),
    inactive_threshold: INACTIVE_MS * NS,
    mem_storage: true,
    num_replicas: 1,
  })
  const subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`
  const common = { expires: EXPIRES_MS * NS, idle_heartbeat: HEARTBEAT_MS * NS }

  let waiting: Pulled[] = []
  let waitingBytes = 0
  /** Messages that the request under way may still bring; 0 when none is under way. */
  let expected = 0
  let requests = 0
  /** Whether the last request brought anything. */
  let hasArrived = false
  let consumerSeq = 0
  let lastHeardMs = Date.now()
  let broken: PullerBroken | undefined
  let wake: (() => void) | undefined

  function fail(reason: string): void {
    broken ??= new PullerBroken(reason)
    wake?.()
  }

  /** Asks for as much as there is room for, so that no number of requests makes more wait than the bounds allow. */
  function pull(): void {
    const roomBytes = maxBytes - waitingBytes
    const room = maxMessages - waiting.length
    if (room > 0 && roomBytes > 0) ask(room, { max_bytes: roomBytes })
  }

  function ask(batch: number, bound: { max_bytes?: number }): void {
    if (broken || expected > 0) return
    expected = batch
    hasArrived = false
    lastHeardMs = Date.now()
    requests += 1
    connection.publish(subject, JSON.stringify({ batch, ...bound, ...common }), { reply: replyTo() })
  }

  function onFull(): void {
    if (hasArrived) return pull()
    // The next message has no room beside those that wait: `next` makes some. Asked again now, the server would only say
    // the same, as fast as the two of us can.
    if (waiting.length > 0) return
    // Not even in an empty house: it comes alone, or the stream would stand still for ever.
    ask(1, {})
  }

  function onMessage(msg: Msg): void {
    lastHeardMs = Date.now()
    // Asked in this order: nats.js reads the headers when they are first asked for, and messages are most of what comes.
    if (!msg.reply?.startsWith('$JS.ACK.') && msg.headers && msg.headers.code > 0 && msg.data.length === 0) {
      if (msg.headers.code === HEARTBEAT_STATUS) return
      // Of a request that is over. Servers since 2.10 say of each that has brought all its messages: "409 Batch Completed".
      if (expected === 0 || msg.subject !== replyTo()) return
      // Expired, or full in bytes: both end the request in order. Anything else is no consumer any more.
      const { code, description } = msg.headers
      expected = 0
      if (code === 408 || code === 404) return pull()
      if (/MaxBytes/i.test(description)) return onFull()
      return fail(`the server ended the consumer: ${code} ${description}`)
    }
    const place = readPlace(msg.reply ?? '')
    consumerSeq += 1
    if (place.consumerSeq !== consumerSeq) return fail(`message ${consumerSeq} of the consumer is missing`)
    expected -= 1
    hasArrived = true
    waitingBytes += sizeOf(msg)
    waiting.push({ seq: place.streamSeq, pending: place.pending, msg })
    wake?.()
    if (expected === 0) pull()
  }

  const inbox = createInbox()
  const replyTo = (): string => `${inbox}.${requests}`
  const subscription = connection.subscribe(`${inbox}.*`, {
    callback(error, msg) {
      if (error) return fail(error.message)
      try {
        onMessage(msg)
      } catch (thrown) {
        fail(thrown instanceof Error ? thrown.message : 'unreadable message')
      }
    },
  })
  const removeOnDisconnect = bus.onDisconnect(() => fail('the bus was disconnected'))
  const watch = setInterval(() => {
    if (expected > 0 && Date.now() - lastHeardMs > 3 * HEARTBEAT_MS) fail('the consumer has gone silent')
  }, HEARTBEAT_MS)
  pull()

  async function arrival(waitMs: number | undefined): Promise<void> {
    if (waiting.length > 0 || broken) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      wake = resolve
      if (waitMs !== undefined) timer = setTimeout(resolve, waitMs)
    })
    clearTimeout(timer)
    wake = undefined
  }

  return {
    pending,
    async next(lingerMs, waitMs) {
      const wasIdle = waiting.length === 0
      await arrival(waitMs)
      if (wasIdle && waiting.length > 0 && !broken)
        await new Promise((resolve) => setTimeout(resolve, lingerMs))
      if (broken) throw broken
      const batch = waiting
      waiting = []
      waitingBytes = 0
      pull()
      return batch
    },
    async stop() {
      fail('stopped')
      clearInterval(watch)
      removeOnDisconnect()
      subscription.unsubscribe()
      // The server would find out by itself after a minute.
      if (bus.isConnected) await manager.consumers.delete(stream, consumer).catch(() => undefined)
    },
  }
}

/** When the stream took the message, in nanoseconds since the Unix epoch: with its place it tells one message from all others. */
export function takenNs({ msg }: Pulled): bigint {
  const tokens = (msg.reply ?? '').split('.')
  return BigInt(tokens[7 + shiftOf(tokens)] ?? '')
}

/** As the server counts it, headers included; nats.js has the method and leaves it out of its types. */
function sizeOf(msg: Msg): number {
  return (msg as Msg & { size(): number }).size()
}

/**
 * Where a message stands, from the subject that it would be acknowledged on:
 * `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>`, and with the JetStream domain and
 * a hash of the account in front of the stream where a server says so (NATS architecture decision 15).
 */
export function readPlace(reply: string): { streamSeq: number; consumerSeq: number; pending: number } {
  const tokens = reply.split('.')
  const shift = shiftOf(tokens)
  return {
    streamSeq: Number(tokens[5 + shift]),
    consumerSeq: Number(tokens[6 + shift]),
    pending: Number(tokens[8 + shift]),
  }
}

const shiftOf = ({ length }: readonly string[]) => (length > 9 ? 2 : 0)
