import { headers } from 'nats'
import type { Publisher } from '../../platform/bus/publisher.ts'
import type { Pulled } from '../../platform/bus/puller.ts'

const REASON_MAX = 500

export const REASON_HEADER = 'Sluice-Reason'
export const SEQUENCE_HEADER = 'Sluice-Stream-Sequence'
export const ID_HEADER = 'Nats-Msg-Id'
/** What a dead letter has on top of the message's own headers. */
export const BURIED_HEADERS: readonly string[] = [REASON_HEADER, SEQUENCE_HEADER, ID_HEADER]

/** Subject of the dead letters of one message subject: `m.…` becomes `deadletters.…`. */
export const deadLetterSubject = (subject: string) => `deadletters.${subject.slice(2)}`

/** The inverse of {@link deadLetterSubject}. */
export const originalSubject = (subject: string) => `m.${subject.slice('deadletters.'.length)}`

/**
 * Keeps a message that cannot be stored, payload and headers as they came, with the reason and its place in the stream.
 * Sent again after a crash it is kept once, within the stream's duplicate window.
 *
 * @param streamCreatedAt names the stream that the place is in
 * @throws {Unavailable} the stream of dead letters does not take it; the message is then still unstored
 */
export async function buryMessage(
  publisher: Publisher,
  { seq, msg }: Pulled,
  reason: string,
  streamCreatedAt: string,
) {
  const fields = headers()
  for (const [name, values] of msg.headers ?? []) for (const value of values) fields.append(name, value)
  fields.set(REASON_HEADER, reason.replace(/[\r\n]+/g, ' ').slice(0, REASON_MAX))
  fields.set(SEQUENCE_HEADER, String(seq))
  fields.set(ID_HEADER, `${streamCreatedAt} ${seq}`)
  await new Promise<void>((resolve, reject) => {
    publisher.publish(deadLetterSubject(msg.subject), msg.data, fields, (error) => {
      if (error) reject(error)
      else resolve()
    })
  })
}
