import { AckPolicy, DeliverPolicy, headers, NatsError } from 'nats'
import type { JetStreamManager } from 'nats'
import { Conflict, Unavailable } from '../errors.ts'
import type { Bus } from './connect.ts'
import { ackSequence, WRONG_REVISION } from './publisher.ts'
import type { Publisher } from './publisher.ts'
import { findLastStored, NO_MESSAGE_FOUND } from './stored.ts'

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
  /** Takes the value away if it is still that revision, else does nothing. */
  remove(revision: number): Promise<void>
  /**
   * Hands over all that is there, some at a time.
   *
   * @param prefix only keys below it, such as `a.b`
   */
  scan(onRecord: (key: string, record: RecordAt) => void, prefix?: string): Promise<void>
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

const SCAN_BATCH = 500
const SCAN_WAIT_MS = 1_000
const SCAN_INACTIVE_NS = 30 * 1e9

/** Requests of a lost connection would wait for their timeout. */
function checkConnected(bus: Bus): void {
  if (!bus.isConnected) throw new Unavailable('the bus is disconnected')
}

/** @returns takes a message off a stream; does nothing when it is gone, or was replaced by a later one of its subject */
export function createRemover(
  bus: Bus,
  manager: JetStreamManager,
  stream: string,
): (seq: number) => Promise<void> {
  return async (seq) => {
    checkConnected(bus)
    await manager.streams.deleteMessage(stream, seq, false).catch((error: unknown) => {
      if (!isNoMessage(error)) throw error
    })
  }
}

/** @param stream its subjects are `<stream>.<key>`, one message each */
export async function createRecords(bus: Bus, publisher: Publisher, stream: string): Promise<Records> {
  const manager = await bus.connection.jetstreamManager({ checkAPI: false })
  const subjectOf = (key: string): string => `${stream}.${key}`

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
      checkConnected(bus)
      const { name } = await manager.consumers.add(stream, {
        ack_policy: AckPolicy.None,
        deliver_policy: DeliverPolicy.All,
        filter_subject: prefix === undefined ? `${stream}.>` : `${stream}.${prefix}.>`,
        inactive_threshold: SCAN_INACTIVE_NS,
        mem_storage: true,
        num_replicas: 1,
      })
      const consumer = await bus.connection.jetstream().consumers.get(stream, name)
      try {
        let count: number
        do {
          count = 0
          // Ends by itself when nothing more comes: what is counted as pending may have been replaced meanwhile.
          for await (const msg of await consumer.fetch({ max_messages: SCAN_BATCH, expires: SCAN_WAIT_MS })) {
            count += 1
            onRecord(msg.subject.slice(stream.length + 1), { value: msg.data, revision: msg.seq })
          }
        } while (count === SCAN_BATCH)
      } finally {
        await manager.consumers.delete(stream, name).catch(() => undefined)
      }
    },
  }
}
