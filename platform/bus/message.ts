import { headers } from 'nats'
import type { Msg, MsgHdrs } from 'nats'
import { parseMessageSubject } from './subject.ts'
import type { MessageAddress } from './subject.ts'

export type Protocol = 'http' | 'mqtt' | 'ws' | 'coap' | 'nats'

/** One publication as it travels on the bus: the device's bytes, untouched, and the facts about them. */
export interface Message extends MessageAddress {
  /** Id of the client, or of the user whose token was used; empty for a foreign NATS client. */
  readonly publisher: string
  readonly protocol: Protocol
  /** Media type as the device declared it; empty when it did not. */
  readonly contentType: string
  /** Arrival at the gateway, nanoseconds since the Unix epoch. */
  readonly receivedAtNs: bigint
  readonly payload: Uint8Array
  /** Quality of service the publisher asked for, for delivery to MQTT subscribers. */
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
}

const PUBLISHER = 'Sluice-Publisher'
const PROTOCOL = 'Sluice-Protocol'
const CONTENT_TYPE = 'Content-Type'
const RECEIVED_AT = 'Sluice-Received-At'
const QOS = 'Sluice-Qos'
const RETAIN = 'Sluice-Retain'

const PROTOCOLS: ReadonlySet<string> = new Set<Protocol>(['http', 'mqtt', 'ws', 'coap', 'nats'])

/** Wall clock in nanoseconds since the Unix epoch, in steps of a millisecond: what the machine's clock says, adjustments included. */
export function nowNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n
}

export function messageHeaders(message: Omit<Message, keyof MessageAddress | 'payload'>): MsgHdrs {
  const h = headers()
  h.set(PUBLISHER, message.publisher)
  h.set(PROTOCOL, message.protocol)
  h.set(RECEIVED_AT, message.receivedAtNs.toString())
  if (message.contentType !== '') h.set(CONTENT_TYPE, message.contentType)
  if (message.qos !== 0) h.set(QOS, String(message.qos))
  if (message.retain) h.set(RETAIN, '1')
  return h
}

/**
 * Reads a message from the bus. A message without our headers comes from a foreign NATS client and is taken with what is
 * known: no publisher, protocol `nats`, arrival now.
 *
 * @returns `undefined` when the subject is not that of a message
 */
export function readMessage(msg: Pick<Msg, 'subject' | 'headers' | 'data'>): Message | undefined {
  const address = parseMessageSubject(msg.subject)
  if (!address) return undefined
  const h = msg.headers
  const protocol = h?.get(PROTOCOL) ?? ''
  const receivedAt = h?.get(RECEIVED_AT) ?? ''
  const qos = h?.get(QOS) ?? ''
  return {
    ...address,
    publisher: h?.get(PUBLISHER) ?? '',
    protocol: PROTOCOLS.has(protocol) ? (protocol as Protocol) : 'nats',
    contentType: h?.get(CONTENT_TYPE) ?? '',
    receivedAtNs: /^\d{1,19}$/.test(receivedAt) ? BigInt(receivedAt) : nowNs(),
    qos: qos === '2' ? 2 : qos === '1' ? 1 : 0,
    retain: h?.get(RETAIN) === '1',
    payload: msg.data,
  }
}
