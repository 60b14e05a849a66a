import { headers, NatsError } from 'nats'
import type { JetStreamManager } from 'nats'
import { Conflict, Unavailable } from '../errors.ts'
import type { Bus } from './connect.ts'
import { ackSequence, WRONG_REVISION } from './publisher.ts'
import type { Publisher } from './publisher.ts'
import { createPuller } from './puller.ts'
import type { Pulled } from './puller.ts'
import { findLastStored, findNextStored, NO_MESSAGE_FOUND } from './stored.ts'

/** One value with the place it was written at; the next writer names that place, and only one of two does so in time. */
export interface RecordAt {
  readonly value: Uint8Array
  readonly revision: number
}

/** Values by key that all processes share, each the last one written: the last message of each subject of a stream. */
export interface Records {
  get(key: string): Promise<RecordAt | undefined>
  /**
   * Writes a value.
   *
   * @param expected the revision that it replaces; 0 when there is none
   * @param done is called once, with the new revision, or with {@link Conflict} `wrong_revision` when another one was there,
   *   or with {@link Unavailable} when nobody knows whether it was written
   */
  put(
    key: string,
    value: Uint8Array,
    expected: number,
    done: (error: Error | undefined, revision: number) => void,
  ): void
  /** Takes the value away if it is still that revision, else does nothing. @returns whether it did */
  remove(revision: number): Promise<boolean>
  /**
   * Hands over all that is there, some at a time.
   *
   * @param prefix only keys below it, such as `a.b`
   */
  scan(onRecord: (key: string, record: RecordAt) => void, prefix?: string): Promise<void>
  /** Counts what is there below a prefix, without having it sent. */
  measure(prefix: string): Promise<{ records: number; bytes: number }>
}

/** Whether a value was not written because another was there than expected. */
export function isWrongRevision(error: unknown): boolean {
  return error instanceof Conflict && error.code === WRONG_REVISION
}

// JetStream API errors, `err_code` of nats-server's server/errors.json: what versions say of a message that is not there.
const NOT_THERE: ReadonlySet<number | undefined> = new Set([NO_MESSAGE_FOUND, 10_043, 10_057])

function isNoMessage(error: unknown): boolean {
  return error instanceof NatsError && NOT_THERE.has(error.api_error?.err_code)
}

/**
 * Bytes that a scan lets wait: a server that has 64 MiB to write to one connection ends it (its `max_pending`), and with it
 * everything that the process does on the bus.
 */
const SCAN_BYTES = 8 * 1_048_576
const SCAN_WAIT_MS = 1_000

/** Requests of a lost connection would wait for their timeout. */
function checkConnected(bus: Bus): void {
  if (!bus.isConnected) throw new Unavailable('the bus is disconnected')
}

/**
 * @returns takes a message off a stream, and says whether it did; does nothing when it is gone, or was replaced by a later one
 *   of its subject
 */
export function createRemover(
  bus: Bus,
  manager: JetStreamManager,
  stream: string,
): (seq: number) => Promise<boolean> {
  return async (seq) => {
    checkConnected(bus)
    try {
      return await manager.streams.deleteMessage(stream, seq, false)
    } catch (error) {
      if (isNoMessage(error)) return false
      throw error
    }
  }
}

/**
 * @param stream    its subjects are `<stream>.<key>`, one message each
 * @param scanBytes that a scan has the server send at once
 */
export async function createRecords(
  bus: Bus,
  publisher: Publisher,
  stream: string,
  scanBytes = SCAN_BYTES,
): Promise<Records> {
  const manager = await bus.connection.jetstreamManager({ checkAPI: false })
  const subjectOf = (key: string): string => `${stream}.${key}`

  async function walk(
    { prefix, hasPayloads = true }: { prefix: string | undefined; hasPayloads?: boolean },
    onMessage: (pulled: Pulled) => void,
  ): Promise<void> {
    checkConnected(bus)
    const subject = subjectOf(prefix === undefined ? '>' : `${prefix}.>`)
    // What is written from here on need not be seen: a scan of a busy stream would never end.
    const end = (await findLastStored(manager, stream, subject))?.seq ?? 0
    const puller = await createPuller(bus, {
      stream,
      fromSeq: 1,
      subject,
      hasPayloads,
      maxBytes: scanBytes,
    })
    try {
      let { pending } = puller
      for (let at = 0; pending > 0 && at < end;) {
        const batch = await puller.next(0, SCAN_WAIT_MS)
        for (const pulled of batch) onMessage(pulled)
        const last = batch.at(-1)
        if (last) [at, pending] = [last.seq, last.pending]
        // Not slow, but done: what was counted as pending has been removed meanwhile.
        else if (!(await findNextStored(manager, stream, subject, at + 1))) break
      }
    } finally {
      await puller.stop()
    }
  }

  return {
    async get(key) {
      checkConnected(bus)
      const found = await findLastStored(manager, stream, subjectOf(key))
      return found && { value: found.data, revision: found.seq }
    },
    put(key, value, expected, done) {
      const hdrs = headers()
      hdrs.set('Nats-Expected-Last-Subject-Sequence', String(expected))
      publisher.publish(subjectOf(key), value, hdrs, (error, ack) => {
        done(error, (ack && ackSequence(ack)) ?? 0)
      })
    },
    remove: createRemover(bus, manager, stream),
    async scan(onRecord, prefix) {
      await walk({ prefix }, ({ seq, msg }) => {
        onRecord(msg.subject.slice(stream.length + 1), { value: msg.data, revision: seq })
      })
    },
    async measure(prefix) {
      const sum = { records: 0, bytes: 0 }
      await walk({ prefix, hasPayloads: false }, ({ msg }) => {
        sum.records += 1
        sum.bytes += Number(msg.headers?.get('Nats-Msg-Size'))
      })
      return sum
    },
  }
}
