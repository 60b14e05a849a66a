import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import type { Bus } from '../../platform/bus/connect.ts'
import { readMessage } from '../../platform/bus/message.ts'
import type { Message } from '../../platform/bus/message.ts'
import type { Publisher } from '../../platform/bus/publisher.ts'
import { createPuller } from '../../platform/bus/puller.ts'
import type { Puller, Pulled } from '../../platform/bus/puller.ts'
import { MESSAGES_STREAM } from '../../platform/bus/streams.ts'
import { createClient, isDataError } from '../../platform/db/connect.ts'
import type { Logger } from '../../platform/log.ts'
import type { Arrival } from './arrivals.ts'
import { buryMessage } from './dead-letters.ts'
import { UUID, decodeMessage } from './decode.ts'
import { readPosition, store, tryLockWriter } from './store.ts'
import type { Position } from './store.ts'
import type { Decoded } from './types.ts'
import type { WriterMetrics } from './writer-metrics.ts'

/** An idle writer waits this long for company before it stores a message: below what anyone notices. */
const LINGER_MS = 5
const RETRY_FIRST_MS = 100
const RETRY_LAST_MS = 5_000
const STANDBY_MS = 1_000

export interface WriterOptions {
  readonly bus: Bus
  readonly publisher: Publisher
  readonly databaseUrl: string
  readonly log: Logger
  readonly metrics: WriterMetrics
}

export interface Writer {
  /** The position up to which everything is stored; `undefined` while another process writes. */
  position(): Position | undefined
  /** Ends after the batch under way. */
  stop(): Promise<void>
}

/**
 * Moves the stream into Postgres, each message once. Any number of processes may run it: one holds the lock and writes, the
 * others stand by. Whatever fails, the stream holds, and the writer goes on behind the stored position when it can.
 */
export function startWriter(options: WriterOptions): Writer {
  const { log } = options
  const abort = new AbortController()
  let position: Position | undefined

  async function run(): Promise<void> {
    let retryMs = RETRY_FIRST_MS
    let isFailing = false
    while (!abort.signal.aborted) {
      try {
        await writeAsLeader(options, abort.signal, (moved) => {
          position = moved
          retryMs = RETRY_FIRST_MS
          if (isFailing) log.info({ seq: moved.seq }, 'writer goes on')
          isFailing = false
        })
      } catch (error) {
        // Said once an outage.
        if (!isFailing && !abort.signal.aborted)
          log.warn({ err: error }, 'writer waits; messages are kept in the stream')
        isFailing = true
      }
      position = undefined
      await sleep(retryMs, undefined, { signal: abort.signal }).catch(() => undefined)
      retryMs = Math.min(retryMs * 2, RETRY_LAST_MS)
    }
  }

  const running = run()
  return {
    position: () => position,
    async stop() {
      abort.abort()
      await running
    },
  }
}

/** Waits to become the one writer, then writes until stopped or until something fails. */
async function writeAsLeader(
  options: WriterOptions,
  signal: AbortSignal,
  onMoved: (position: Position) => void,
) {
  const client = createClient(options.databaseUrl, 'sluice writer')
  // A lost connection fails the statement under way or the next one; unhandled, the event would end the process.
  client.on('error', () => undefined)
  await client.connect()
  try {
    while (!(await tryLockWriter(client))) {
      await sleep(STANDBY_MS, undefined, { signal })
    }
    const manager = await options.bus.connection.jetstreamManager({ checkAPI: false })
    const info = await manager.streams.info(MESSAGES_STREAM)
    const stored = await readPosition(client, MESSAGES_STREAM, info.created)
    const position = await skipGap(client, stored, info.state.first_seq, options)
    const puller = await createPuller(options.bus, { stream: MESSAGES_STREAM, fromSeq: position.seq + 1 })
    const stop = () => void puller.stop()
    signal.addEventListener('abort', stop)
    try {
      // Stopped while the consumer was being made: the event has passed.
      signal.throwIfAborted()
      onMoved(position)
      await writeFrom(position, puller, client, options, onMoved)
    } finally {
      signal.removeEventListener('abort', stop)
      await puller.stop()
    }
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** Messages that somebody trimmed from the stream before they were stored are lost: an operator must know, once. */
async function skipGap(
  client: Client,
  position: Position,
  firstSeq: number,
  { log, metrics }: WriterOptions,
): Promise<Position> {
  const missing = firstSeq - 1 - position.seq
  // A database that begins beside an older stream has lost nothing.
  if (missing <= 0 || position.seq === 0) return position
  metrics.lost.inc(missing)
  log.error({ missing, seq: position.seq }, 'messages were removed from the stream before they were stored')
  return store(client, position, firstSeq - 1, { readings: [], jsonMessages: [], arrivals: [] })
}

async function writeFrom(
  start: Position,
  puller: Puller,
  client: Client,
  options: WriterOptions,
  onMoved: (position: Position) => void,
): Promise<never> {
  let position = start
  for (;;) {
    const batch = await puller.next(LINGER_MS)
    position = await storeBatch(client, position, batch, options)
    onMoved(position)
  }
}

async function storeBatch(
  client: Client,
  from: Position,
  batch: readonly Pulled[],
  options: WriterOptions,
): Promise<Position> {
  const items = batch.map(decode)
  await bury(options, items.filter(isBroken), from)
  return storeItems(client, from, items, options)
}

/**
 * Stores what a batch decoded to. When the database refuses the data of some message, halves are tried, down to that one
 * message, which goes to the dead letters: one bad message stops nobody.
 */
async function storeItems(
  client: Client,
  from: Position,
  items: readonly Item[],
  options: WriterOptions,
): Promise<Position> {
  const last = items.at(-1)
  if (!last) return from
  const readings = items.flatMap(({ decoded }) => (decoded.kind === 'readings' ? decoded.readings : []))
  const jsonMessages = items.flatMap(({ decoded }) => (decoded.kind === 'json' ? decoded.messages : []))
  const arrivals = items.flatMap(({ arrival }) => arrival ?? [])
  try {
    const position = await store(client, from, last.pulled.seq, { readings, jsonMessages, arrivals })
    options.metrics.storedReadings.inc(readings.length)
    options.metrics.storedJson.inc(jsonMessages.length)
    return position
  } catch (error) {
    if (!isDataError(error)) throw error
    if (items.length === 1) {
      const reason = `refused by the database: ${error.message}`
      await bury(options, [{ pulled: last.pulled, decoded: { kind: 'broken', reason } }], from)
      return store(client, from, last.pulled.seq, { readings: [], jsonMessages: [], arrivals })
    }
    const middle = items.length >> 1
    const between = await storeItems(client, from, items.slice(0, middle), options)
    return storeItems(client, between, items.slice(middle), options)
  }
}

interface Item<D extends Decoded = Decoded> {
  readonly pulled: Pulled
  readonly decoded: D
  readonly arrival?: Arrival | undefined
}

type BrokenItem = Item<Extract<Decoded, { kind: 'broken' }>>

function decode(pulled: Pulled): Item {
  const message = readMessage(pulled.msg)
  const decoded: Decoded = message
    ? decodeMessage(message, pulled.seq)
    : { kind: 'broken', reason: 'invalid_subject: not the subject of a message' }
  return { pulled, decoded, arrival: message && arrivalOf(message) }
}

/** Foreign NATS clients say nothing of who they are, or whatever they like. */
function arrivalOf({ publisher, receivedAtNs }: Message): Arrival | undefined {
  return UUID.test(publisher) ? { publisher, atMs: Number(receivedAtNs / 1_000_000n) } : undefined
}

const isBroken = (item: Item): item is BrokenItem => item.decoded.kind === 'broken'

async function bury(options: WriterOptions, items: readonly BrokenItem[], position: Position): Promise<void> {
  const [first] = items
  if (!first) return
  for (const { pulled, decoded } of items) {
    await buryMessage(options.publisher, pulled, decoded.reason, position.createdAt)
  }
  options.metrics.deadLetters.inc(items.length)
  // One line a batch, not a message: a device that sends nothing but rubbish must not fill the log.
  options.log.info(
    {
      count: items.length,
      subject: first.pulled.msg.subject,
      seq: first.pulled.seq,
      reason: first.decoded.reason,
    },
    'messages cannot be stored and went to the dead letters',
  )
}
