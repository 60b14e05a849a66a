import { headers } from 'nats'
import type { MsgHdrs } from 'nats'
import { InvalidInput, TooLarge, Unavailable } from '../../platform/errors.ts'
import { ackSequence } from '../../platform/bus/publisher.ts'
import type { Publisher } from '../../platform/bus/publisher.ts'
import type { Pulled } from '../../platform/bus/puller.ts'

const REASON_MAX = 500

export const REASON_HEADER = 'Sluice-Reason'
export const SEQUENCE_HEADER = 'Sluice-Stream-Sequence'
export const ID_HEADER = 'Nats-Msg-Id'
/** How large the payload was that there was no room for. */
export const PAYLOAD_BYTES_HEADER = 'Sluice-Payload-Bytes'
/** What a dead letter has on top of the message's own headers. */
export const BURIED_HEADERS: readonly string[] = [REASON_HEADER, SEQUENCE_HEADER, ID_HEADER]

/** Subject of the dead letters of one message subject: `m.…` becomes `deadletters.…`. */
export const deadLetterSubject = (subject: string) => `deadletters.${subject.slice(2)}`

/** Of the domain that a message is of. */
export const deadLettersOf = (domainId: string) => `deadletters.${domainId}.>`

/** The inverse of {@link deadLetterSubject}. */
export const originalSubject = (subject: string) => `m.${subject.slice('deadletters.'.length)}`

/** The same without what stands behind the channel. */
const channelSubject = (subject: string) => deadLetterSubject(subject).split('.', 4).join('.')

export interface Buried {
  /** Its place among the dead letters. */
  readonly seq: number
  /** What it takes there, about. */
  readonly bytes: number
}

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
): Promise<Buried> {
  const fields = headers()
  for (const [name, values] of msg.headers ?? []) for (const value of values) fields.append(name, value)
  const facts = {
    [REASON_HEADER]: reason.replace(/[\r\n]+/g, ' ').slice(0, REASON_MAX),
    [SEQUENCE_HEADER]: String(seq),
    [ID_HEADER]: `${streamCreatedAt} ${seq}`,
  }
  for (const [name, value] of Object.entries(facts)) fields.set(name, value)
  try {
    return await publish(publisher, deadLetterSubject(msg.subject), msg.data, fields)
  } catch (error) {
    if (!(error instanceof InvalidInput || error instanceof TooLarge)) throw error
    const bare = headers()
    for (const [name, value] of Object.entries(facts)) bare.set(name, value)
    bare.set(PAYLOAD_BYTES_HEADER, String(msg.data.length))
    return publish(publisher, channelSubject(msg.subject), new Uint8Array(), bare)
  }
}

/** Headers and what the server notes down of a message. */
const BESIDE_BYTES = 400

function publish(
  publisher: Publisher,
  subject: string,
  payload: Uint8Array,
  fields: MsgHdrs,
): Promise<Buried> {
  return new Promise((resolve, reject) => {
    publisher.publish(subject, payload, fields, (error, ack) => {
      if (error) return reject(error)
      const seq = ack && ackSequence(ack)
      if (seq === undefined)
        return reject(new Unavailable('the stream did not say where it keeps the message'))
      resolve({ seq, bytes: subject.length + payload.length + BESIDE_BYTES })
    })
  })
}
