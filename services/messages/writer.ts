import { setTimeout as sleep } from 'node:timers/promises'
import type { JetStreamManager } from 'nats'
import type { Client } from 'pg'
import { announceCommitted } from '../../platform/bus/committed.ts'
import type { Bus } from '../../platform/bus/connect.ts'
import type { Publisher } from '../../platform/bus/publisher.ts'
import { createPuller, takenNs } from '../../platform/bus/puller.ts'
import type { Puller, Pulled } from '../../platform/bus/puller.ts'
import { MESSAGES_STREAM } from '../../platform/bus/streams.ts'
import { createClient, isDataError } from '../../platform/db/connect.ts'
import type { Logger } from '../../platform/log.ts'
import { createBurial } from './burial.ts'
import type { Burial } from './burial.ts'
import { DayCounts } from './day-counts.ts'
import { Dictionary } from './dictionary.ts'
import type { SeriesLimits } from './series-room.ts'
import { Outdated } from './outdated.ts'
import { prepare } from './prepare.ts'
import type { Prepared } from './prepare.ts'
import { fitToStream, reportLost } from './rewind.ts'
import { readPosition, store, tryLockWriter } from './store.ts'
import type { Position } from './store.ts'
import { countTrimmed } from './trimmed.ts'
import type { WriterMetrics } from './writer-metrics.ts'

/** An idle writer waits this long for company before it stores a message: below what anyone notices. */
const LINGER_MS = 5
const RETRY_FIRST_MS = 100
const RETRY_LAST_MS = 5_000
const STANDBY_MS = 1_000
const REPEAT_MS = 1_000

export interface WriterOptions {
  readonly bus: Bus
  readonly publisher: Publisher
  readonly databaseUrl: string
  readonly log: Logger
  readonly metrics: WriterMetrics
  /** Any number, unless said. */
  readonly seriesLimits?: SeriesLimits
  /** Bytes of the dead letters of one domain. */
  readonly deadLetterBytes?: number
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
  const { bus, log } = options
  const bury = createBurial(options)
  const abort = new AbortController()
  let position: Position | undefined

  // Who begins to listen, or missed one, hears it soon.
  const repeat = setInterval(() => position && announceCommitted(bus, position), REPEAT_MS)
  repeat.unref()

  async function run(): Promise<void> {
    let retryMs = RETRY_FIRST_MS
    let isFailing = false
    while (!abort.signal.aborted) {
      try {
        await writeAsLeader({ ...options, bury }, abort.signal, (moved) => {
          const isProgress = position !== undefined
          position = moved
          announceCommitted(bus, moved)
          // Becoming the writer is none: what fails right after it would be tried, and said, at full speed.
          if (!isProgress) return
          retryMs = RETRY_FIRST_MS
          if (isFailing) log.info({ seq: moved.seq }, 'writer goes on')
          isFailing = false
        })
      } catch (error) {
        if (error instanceof Outdated) log.debug({ err: error }, 'writer begins anew')
        // Said once an outage.
        else if (!isFailing && !abort.signal.aborted)
          log.warn({ err: error }, 'writer waits; messages are kept in the stream')
        isFailing ||= !(error instanceof Outdated)
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
      clearInterval(repeat)
      await running
    },
  }
}

/** What lasts as long as the process, however often it becomes the writer. */
type Parts = WriterOptions & { readonly bury: Burial }

/** What a writer has while it is the one. */
interface Session {
  readonly client: Client
  readonly dictionary: Dictionary
}

/** What it reads. */
interface Source {
  readonly manager: JetStreamManager
  readonly puller: Puller
}

/** Waits to become the one writer, then writes until stopped or until something fails. */
async function writeAsLeader(options: Parts, signal: AbortSignal, onMoved: (position: Position) => void) {
  const [client, forDictionary] = [connection(options), connection(options)]
  try {
    await Promise.all([client.connect(), forDictionary.connect()])
    while (!(await tryLockWriter(client))) {
      await sleep(STANDBY_MS, undefined, { signal })
    }
    const dictionary = new Dictionary(forDictionary, {
      limits: options.seriesLimits,
      onAdded: (count) => options.metrics.addedSeries.inc(count),
    })
    const session = { client, dictionary }
    const manager = await options.bus.connection.jetstreamManager({ checkAPI: false })
    const info = await manager.streams.info(MESSAGES_STREAM)
    const stored = await readPosition(client, MESSAGES_STREAM, info.created)
    const position = await fitToStream(client, stored, info.state, { ...options, manager })
    const puller = await createPuller(options.bus, { stream: MESSAGES_STREAM, fromSeq: position.seq + 1 })
    const stop = () => void puller.stop()
    signal.addEventListener('abort', stop)
    try {
      // Stopped while the consumer was being made: the event has passed.
      signal.throwIfAborted()
      onMoved(position)
      const firstSeq = Math.max(position.seq + 1, info.state.first_seq)
      await writeFrom({ position, firstSeq }, { ...session, manager, puller }, options, onMoved)
    } finally {
      signal.removeEventListener('abort', stop)
      await puller.stop()
    }
  } finally {
    await Promise.all([client, forDictionary].map((each) => each.end().catch(() => undefined)))
  }
}

function connection({ databaseUrl }: Parts): Client {
  const client = createClient(databaseUrl, 'sluice writer')
  // A lost connection fails the statement under way or the next one; unhandled, the event would end the process.
  client.on('error', () => undefined)
  return client
}

/** Prepares one batch while the one before is being stored: the database and this process work at the same time. */
async function writeFrom(
  start: { readonly position: Position; readonly firstSeq: number },
  { client, dictionary, manager, puller }: Session & Source,
  options: Parts,
  onMoved: (position: Position) => void,
): Promise<never> {
  let storing = Promise.resolve(start.position)
  let nextSeq = start.firstSeq
  try {
    for (;;) {
      const batch = await puller.next(LINGER_MS)
      const trimmed = await countTrimmed(manager, batch, nextSeq)
      nextSeq = (batch.at(-1)?.seq ?? 0) + 1
      for (let at = 0; at < batch.length;) {
        const prepared = await attempt(() => prepare(batch, at, dictionary))
        const from = await storing
        const pulled = prepared?.pulled ?? batch.slice(at)
        storing = storeOrHalve({ client, dictionary }, from, pulled, prepared, options)
        // Whoever waits for messages learns that it failed.
        storing.then(onMoved, () => void puller.stop())
        at += pulled.length
      }
      // Once the position is past them: a writer that begins anew before that finds and counts them itself.
      if (trimmed > 0)
        storing.then(
          ({ seq }) => reportLost(options, trimmed, seq),
          () => undefined,
        )
    }
  } finally {
    // Its error is the first one; and the connection is not closed under it.
    await storing
  }
}

/** @returns `undefined` when the database refuses the data */
async function attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!isDataError(error)) throw error
    return undefined
  }
}

/**
 * Stores messages. When the database refuses the data of some, halves are tried, down to that one message, which goes to
 * the dead letters: one bad message stops nobody.
 */
async function storeOrHalve(
  session: Session,
  from: Position,
  pulled: readonly Pulled[],
  prepared: Prepared | undefined,
  options: Parts,
): Promise<Position> {
  const last = pulled.at(-1)
  if (!last) return from
  let reason = 'refused by the database'
  if (prepared) {
    try {
      return await storePrepared(session.client, from, behind(from, last), prepared, options)
    } catch (error) {
      if (!isDataError(error)) throw error
      reason += `: ${error.message}`
    }
  }
  if (pulled.length === 1) {
    await options.bury([{ pulled: last, reason }], from.createdAt)
    // It has come all the same, and counts for who sent it.
    const rows = prepared && { samples: [], json: [], days: new DayCounts(), arrivals: prepared.arrivals }
    return store(session.client, from, behind(from, last), rows)
  }
  const middle = pulled.length >> 1
  let position = from
  for (const half of [pulled.slice(0, middle), pulled.slice(middle)]) {
    for (let at = 0; at < half.length;) {
      const again = await attempt(() => prepare(half, at, session.dictionary))
      const part = again?.pulled ?? half.slice(at)
      position = await storeOrHalve(session, position, part, again, options)
      at += part.length
    }
  }
  return position
}

/** The position once a message is stored. */
const behind = (from: Position, last: Pulled): Position => ({
  ...from,
  seq: last.seq,
  takenNs: takenNs(last),
})

async function storePrepared(
  client: Client,
  from: Position,
  to: Position,
  prepared: Prepared,
  options: Parts,
): Promise<Position> {
  await options.bury(prepared.broken, from.createdAt)
  const position = await store(client, from, to, prepared)
  options.metrics.storedReadings.inc(prepared.sampleRows)
  options.metrics.refusedSeries.inc(prepared.refused)
  options.metrics.storedJson.inc(prepared.json.length)
  return position
}
