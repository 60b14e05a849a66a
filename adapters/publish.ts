import { messageHeaders } from '../platform/bus/message.ts'
import type { Message } from '../platform/bus/message.ts'
import type { Publisher } from '../platform/bus/publisher.ts'
import { messageSubject } from '../platform/bus/subject.ts'
import type { StoredAcks } from './stored.ts'

/** A message on its way to the stream. */
export interface Publication extends Message {
  /** Place where the stream has it already: it was found there, and is not put there again. */
  readonly storedAt?: number | undefined
}

/**
 * Puts a message on the stream.
 *
 * `done` is called once: without an error after JetStream has the message on file (or the writer has stored it, where
 * acknowledgements wait for that), with `Unavailable` when it could not be
 * stored (away, full, too slow), with `TooLarge` or `InvalidInput` when the bus cannot carry it. It may be called before
 * this returns. Never throws.
 */
export type Publish = (message: Publication, done: (error?: Error) => void) => void

/** @param stored when given, acknowledgements wait until the message is in the database */
export function createPublish(publisher: Publisher, stored?: StoredAcks): Publish {
  return (message, done) => {
    if (message.storedAt !== undefined) {
      if (stored) stored.follow(message.storedAt, done)
      else done()
      return
    }
    let headers
    try {
      headers = messageHeaders(message)
    } catch (error) {
      done(error as Error)
      return
    }
    publisher.publish(messageSubject(message), message.payload, headers, stored ? stored.wait(done) : done)
  }
}
