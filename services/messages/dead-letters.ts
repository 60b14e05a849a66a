import { headers } from 'nats'
import type { Publisher } from '../../platform/bus/publisher.ts'
import type { Pulled } from '../../platform/bus/puller.ts'

const REASON_MAX = 500

/** Subject of the dead letters of one message subject: `m.…` becomes `deadletters.…`. */
const deadLetterSubject = (subject: string) => `deadletters.${subject.slice(2)}`

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
  fields.set('Sluice-Reason', reason.replace(/[\r\n]+/g, ' ').slice(0, REASON_MAX))
  fields.set('Sluice-Stream-Sequence', String(seq))
  fields.set('Nats-Msg-Id', `${streamCreatedAt} ${seq}`)
  await new Promise<void>((resolve, reject) => {
    publisher.publish(deadLetterSubject(msg.subject), msg.data, fields, (error) => {
      if (error) reject(error)
      else resolve()
    })
  })
}
