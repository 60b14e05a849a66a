import type { Message } from '../platform/bus/message.ts'

/**
 * Puts a message on the stream.
 *
 * `done` is called once: without an error after JetStream has the message on file, with `Unavailable` when it could not be
 * stored (away, full, too slow). Never throws.
 */
export type Publish = (message: Message, done: (error?: Error) => void) => void
