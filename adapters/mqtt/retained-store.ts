import type { Msg } from 'nats'
import { Unavailable } from '../../platform/errors.ts'
import type { Bus } from '../../platform/bus/connect.ts'
import { messageHeaders, readMessage } from '../../platform/bus/message.ts'
import type { Message } from '../../platform/bus/message.ts'
import type { Publisher } from '../../platform/bus/publisher.ts'
import { createPuller } from '../../platform/bus/puller.ts'
import type { Pulled } from '../../platform/bus/puller.ts'
import { createRemover } from '../../platform/bus/records.ts'
import { findLastStored, findStored } from '../../platform/bus/stored.ts'
import { RETAINED_STREAM } from '../../platform/bus/streams.ts'
import { messageSubject } from '../../platform/bus/subject.ts'
import type { ChannelAddress } from '../authority.ts'
import { createLookUpShare } from './look-up-share.ts'
import { createRetained } from './retained.ts'
import type { Retained, RetainedOptions } from './retained.ts'

/** Retained messages of all processes: kept by a stream, each the last of its topic, and mirrored here for look-ups. */
export interface RetainedStore {
  readonly size: Retained['size']
  /** Puts a retained message on file for all; an empty payload takes the one before it away [MQTT-3.3.1-6]. */
  store(message: Message, done: (error?: Error) => void): void
  /** The one of a topic as far as it is known here. */
  get(channel: ChannelAddress, levels: readonly string[]): RetainedMessage | undefined
  /**
   * Those of one channel that a filter matches, whatever process has acknowledged them before now, in the order of their
   * places.
   *
   * @throws {Unavailable}
   */
  find(channel: ChannelAddress, filter: readonly string[]): Promise<RetainedMessage[]>
  stop(): Promise<void>
}

export interface RetainedMessage {
  readonly message: Message
  /** Place in the stream of retained messages; a later one of the same topic has a later place, and this one none any more. */
  readonly seq: number
}

const PREFIX = `${RETAINED_STREAM}.`
/** How long a look-up waits for what is on file to arrive here. */
const CAUGHT_UP_MS = 2_000
const RETRY_MS = 250
/** How long an empty message stays, so that every process hears that the topic has none any more. */
const EMPTY_KEPT_MS = 60_000
/** Beyond, the oldest go at once: whoever takes away what it has just set may do so as fast as it likes. */
const MAX_EMPTY = 10_000
const SWEEP_MS = 15_000

export interface RetainedStoreOptions extends Pick<RetainedOptions, 'onEvict'> {
  readonly maxEmpty?: number
  /** Between looking for what has expired. */
  readonly sweepMs?: number
}

/** Reads a message of the stream of retained ones. */
export function readRetained(msg: Pick<Msg, 'subject' | 'headers' | 'data'>): Message | undefined {
  // One by one: what nats.js hands over has getters, which a spread would leave behind.
  const { headers, data } = msg
  return readMessage({ subject: `m.${msg.subject.slice(PREFIX.length)}`, headers, data })
}

export async function createRetainedStore(
  bus: Bus,
  publisher: Publisher,
  options: RetainedStoreOptions,
): Promise<RetainedStore> {
  const { maxEmpty = MAX_EMPTY, sweepMs = SWEEP_MS } = options
  const manager = await bus.connection.jetstreamManager({ checkAPI: false })
  const remove = createRemover(bus, manager, RETAINED_STREAM)
  const seqOf = new WeakMap<Message, number>()
  const empty = new Map<number, number>()
  const share = createLookUpShare()
  let waiting: { seq: number; resolve: () => void }[] = []
  let position = 0
  let emptyPlace = 0
  let createdAt: string | undefined
  let isStopped = false
  let stopReading = (): Promise<void> => Promise.resolve()

  const startMirror = () =>
    createRetained({
      onEvict(message) {
        options.onEvict(message)
        forgetMessage(message)
      },
    })
  let mirror = startMirror()

  /** By every process, since each comes to the same end; the second one finds nothing. */
  function forgetMessage(message: Message): void {
    const seq = seqOf.get(message)
    if (seq !== undefined) forget(seq)
  }

  function forget(seq: number): void {
    remove(seq).catch((error: unknown) => bus.log.debug({ err: error }, 'retained message not removed'))
  }

  function take({ seq, msg }: Pulled): void {
    const message = readRetained(msg)
    if (message) {
      const kept = mirror.set(message)
      if (kept) seqOf.set(kept, seq)
      else keepEmpty(seq)
    }
    position = seq
  }

  function keepEmpty(seq: number): void {
    empty.set(seq, Date.now() + EMPTY_KEPT_MS)
    for (const oldest of empty.keys()) {
      if (empty.size <= maxEmpty) return
      empty.delete(oldest)
      forget(oldest)
    }
  }

  function tellPosition(): void {
    if (waiting.length === 0) return
    for (const { resolve } of waiting.filter(({ seq }) => seq <= position)) resolve()
    waiting = waiting.filter(({ seq }) => seq > position)
  }

  /** A stream that was lost and made anew counts from 1 again, and has nothing of what is here. */
  async function fitToStream(): Promise<void> {
    // A request made now would be thrown away with the connection, and wait for its timeout.
    if (!bus.isConnected) throw new Unavailable('the bus is disconnected')
    const { created, state } = await manager.streams.info(RETAINED_STREAM)
    if (createdAt !== undefined && (created !== createdAt || state.last_seq < position)) {
      mirror = startMirror()
      empty.clear()
      position = 0
      emptyPlace = 0
    }
    createdAt = created
  }

  async function read(): Promise<void> {
    await fitToStream()
    const puller = await createPuller(bus, { stream: RETAINED_STREAM, fromSeq: position + 1 })
    stopReading = () => puller.stop()
    try {
      while (!isStopped) {
        for (const pulled of await puller.next(0)) take(pulled)
        tellPosition()
      }
    } finally {
      await puller.stop()
    }
  }

  async function keepReading(): Promise<void> {
    while (!isStopped) {
      try {
        await read()
      } catch (error) {
        if (isStopped) return
        bus.log.debug({ err: error }, 'reading of retained messages interrupted')
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
  }

  /**
   * Place of the last message on file. To be told the last of all subjects, the server goes through each of them, 8 ms of its
   * time with 50,000: it is asked that only where the last place of the stream has no message any more, once for each such.
   */
  async function lastOnFile(): Promise<number> {
    const { last_seq: last } = (await manager.streams.info(RETAINED_STREAM)).state
    if (last <= position || last === emptyPlace) return position
    if (await findStored(manager, RETAINED_STREAM, last)) return last
    const found = (await findLastStored(manager, RETAINED_STREAM, `${PREFIX}>`))?.seq ?? 0
    // Nothing that is on file lies between what is here and that place.
    if (found <= position) emptyPlace = last
    return found
  }

  /** Resolves when everything that is on file now is here. */
  async function caughtUp(): Promise<void> {
    let seq: number
    try {
      seq = await lastOnFile()
    } catch (error) {
      throw new Unavailable('retained messages cannot be looked up', { cause: error })
    }
    if (seq <= position) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, CAUGHT_UP_MS)
      waiting.push({
        seq,
        resolve() {
          clearTimeout(timer)
          resolve()
        },
      })
    })
  }

  const sweep = setInterval(() => {
    if (!bus.isConnected) return
    const now = Date.now()
    for (const [seq, until] of empty) {
      if (until > now) break
      empty.delete(seq)
      forget(seq)
    }
    for (const message of mirror.sweep()) forgetMessage(message)
  }, sweepMs)
  sweep.unref()
  const reading = keepReading()

  return {
    get size() {
      return mirror.size
    },
    store(message, done) {
      const subject = PREFIX + messageSubject(message).slice('m.'.length)
      publisher.publish(subject, message.payload, messageHeaders(message), done)
    },
    get({ channelId }, levels) {
      const message = mirror.get(channelId, levels)
      return message && { message, seq: seqOf.get(message) ?? 0 }
    },
    async find({ domainId, channelId }, filter) {
      await caughtUp()
      const { found } = await share.run(domainId, () => mirror.find(channelId, filter))
      return found
        .map((message) => ({ message, seq: seqOf.get(message) ?? 0 }))
        .sort((one, other) => one.seq - other.seq)
    },
    async stop() {
      isStopped = true
      clearInterval(sweep)
      await stopReading()
      await reading
    },
  }
}
