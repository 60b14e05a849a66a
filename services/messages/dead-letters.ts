import { headers } from 'nats'
import type { MsgHdrs } from 'nats'
import { InvalidInput, TooLarge } from '../../platform/errors.ts'
import type { Publisher } from '../../platform/bus/publisher.ts'
import type { Pulled } from '../../platform/bus/puller.ts'

const REASON_MAX = 500

/** Subject of the dead letters of one message subject: `m.…` becomes `deadletters.…`. */
const deadLetterSubject = (subject: string) => `deadletters.${subject.slice(2)}`

/** The same without what stands behind the channel. */
const channelSubject = (subject: string) => deadLetterSubject(subject).split('.', 4).join('.')

/**
 * Keeps a message that cannot be stored, payload and headers as they came, with the reason and its place in the stream.
 * Sent again after a crash it is kept once, within the stream's duplicate window.
 *
 * What these additions make too large for the bus is kept without its payload, on the subject of its channel: a message that
 * could not even be buried would stop the writer for everybody.
 *
 * @param streamCreatedAt names the stream that the place is in
 * @throws {Unavailable} the stream of dead letters does not take it; the message is then still unstored
 */
export async function buryMessage(
  publisher: Publisher,
  { seq, msg }: Pulled,
  reason: string,
  streamCreatedAt: string,
): Promise<void> {
  const fields = headers()
  for (const [name, values] of msg.headers ?? []) for (const value of values) fields.append(name, value)
  const facts = {
    'Sluice-Reason': reason.replace(/[\r\n]+/g, ' ').slice(0, REASON_MAX),
    'Sluice-Stream-Sequence': String(seq),
    'Nats-Msg-Id': `${streamCreatedAt} ${seq}`,
  }
  for (const [name, value] of Object.entries(facts)) fields.set(name, value)
  try {
    await publish(publisher, deadLetterSubject(msg.subject), msg.data, fields)
  } catch (error) {
    if (!(error instanceof InvalidInput || error instanceof TooLarge)) throw error
    const bare = headers()
    for (const [name, value] of Object.entries(facts)) bare.set(name, value)
    bare.set('Sluice-Payload-Bytes', String(msg.data.length))
    await publish(publisher, channelSubject(msg.subject), new Uint8Array(), bare)
  }
}

function publish(publisher: Publisher, subject: string, payload: Uint8Array, fields: MsgHdrs): Promise<void> {
  return new Promise((resolve, reject) => {
    publisher.publish(subject, payload, fields, (error) => {
      if (error) reject(error)
      else resolve()
    })
  })
}
