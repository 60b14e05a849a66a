import { AckPolicy, DeliverPolicy, NatsError } from 'nats'
import type { JetStreamManager, MsgRequest, StoredMsg } from 'nats'

/** One message as a stream keeps it. */
export type StoredMessage = Pick<StoredMsg, 'seq' | 'subject' | 'header' | 'data' | 'time' | 'timestamp'>

// JetStream API error, `err_code` of nats-server's server/errors.json.
export const NO_MESSAGE_FOUND = 10_037

/** The message at a place of the stream; `undefined` when there is none, or none any more. */
export function findStored(
  manager: JetStreamManager,
  stream: string,
  seq: number,
): Promise<StoredMessage | undefined> {
  return ask(manager, stream, { seq })
}

/** The first message at or behind a place whose subject matches, wildcards allowed; `undefined` when there is none yet. */
export function findNextStored(
  manager: JetStreamManager,
  stream: string,
  subject: string,
  fromSeq: number,
): Promise<StoredMessage | undefined> {
  // The types of nats.js know `next_by_subj` of direct requests alone; the server takes it here too, 2.9.10 among them.
  return ask(manager, stream, { seq: fromSeq, next_by_subj: subject } as MsgRequest)
}

/** The newest message whose subject matches, wildcards allowed. */
export function findLastStored(
  manager: JetStreamManager,
  stream: string,
  subject: string,
): Promise<StoredMessage | undefined> {
  return ask(manager, stream, { last_by_subj: subject })
}

const NS_PER_S = 1_000_000_000

/** When the stream took a message, in nanoseconds since the Unix epoch; the server says it as RFC 3339, zeros at the end left out. */
export function takenNsOf({ timestamp }: Pick<StoredMessage, 'timestamp'>): bigint {
  const [, whole = '', fraction = '', zone = 'Z'] =
    /^([^.]*?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/.exec(timestamp) ?? []
  return BigInt(Date.parse(whole + zone)) * 1_000_000n + BigInt(fraction.padEnd(9, '0'))
}

/**
 * The place of the first message that came at or after a moment; the next place to be taken when there is none. It is what
 * a consumer that starts there would get, which every server version can say.
 */
export async function findFirstSince(
  manager: JetStreamManager,
  stream: string,
  sinceMs: number,
): Promise<number> {
  const info = await manager.consumers.add(stream, {
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.StartTime,
    opt_start_time: new Date(sinceMs).toISOString(),
    inactive_threshold: 10 * NS_PER_S,
    mem_storage: true,
    num_replicas: 1,
  })
  await manager.consumers.delete(stream, info.name).catch(() => undefined)
  return info.delivered.stream_seq + 1
}

async function ask(manager: JetStreamManager, stream: string, request: MsgRequest) {
  try {
    return await manager.streams.getMessage(stream, request)
  } catch (error) {
    if (error instanceof NatsError && error.api_error?.err_code === NO_MESSAGE_FOUND) return undefined
    throw error
  }
}
