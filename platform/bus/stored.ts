import { NatsError } from 'nats'
import type { JetStreamManager, MsgRequest, StoredMsg } from 'nats'

/** One message as a stream keeps it. */
export type StoredMessage = Pick<StoredMsg, 'seq' | 'subject' | 'header' | 'data' | 'time'>

// JetStream API error, `err_code` of nats-server's server/errors.json.
const NO_MESSAGE_FOUND = 10_037

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

async function ask(manager: JetStreamManager, stream: string, request: MsgRequest) {
  try {
    return await manager.streams.getMessage(stream, request)
  } catch (error) {
    if (error instanceof NatsError && error.api_error?.err_code === NO_MESSAGE_FOUND) return undefined
    throw error
  }
}
