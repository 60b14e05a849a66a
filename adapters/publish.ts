import { messageHeaders } from '../platform/bus/message.ts'
import type { Message } from '../platform/bus/message.ts'
import type { Publisher } from '../platform/bus/publisher.ts'
import { messageSubject } from '../platform/bus/subject.ts'

/**
 * Puts a message on the stream.
 *
 * `done` is called once: without an error after JetStream has the message on file, with `Unavailable` when it could not be
 * stored (away, full, too slow), with `TooLarge` or `InvalidInput` when the bus cannot carry it. It may be called before
 * this returns. Never throws.
 */
export type Publish = (message: Message, done: (error?: Error) => void) => void

export function createPublish(publisher: Publisher): Publish {
  return (message, done) => {
    let headers
    try {
      headers = messageHeaders(message)
    } catch (error) {
      done(error as Error)
      return
    }
    publisher.publish(messageSubject(message), message.payload, headers, done)
  }
}
