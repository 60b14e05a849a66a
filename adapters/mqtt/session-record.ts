import { createHash } from 'node:crypto'
import type { Holder } from '../quota.ts'
import type { ClientPrincipal } from './access.ts'
import type { Qos } from './packets.ts'

/**
 * What is kept of a session on the bus: who has it, and all that another process needs to go on with it (MQTT 5 section
 * 4.1, Session State). Sessions that end with their connection have one too, so that a second connection under the same
 * name is noticed wherever it comes in, and the will is sent when the process dies.
 */
export interface SessionRecord {
  /** MQTT client identifier. */
  readonly identifier: string
  readonly principal: ClientPrincipal
  /** The process that has the session, or owes its will; empty when nobody does. */
  readonly node: string
  /** One connection's name: a process can tell its own writing from a later one. */
  readonly epoch: string
  /** Seconds that the session outlives its connection; 0 is not at all. */
  readonly expiryS: number
  /** Milliseconds since the Unix epoch; 0 while the client is connected. */
  readonly endsAt: number
  readonly will: WillRecord | undefined
  readonly subscriptions: readonly SubscriptionRecord[]
  /** By subject of the stream, the place up to which everything was sent or is listed in flight. */
  readonly places: Readonly<Record<string, number>>
  readonly lastPacketId: number
  readonly inFlight: readonly InFlightRecord[]
  readonly receipts: readonly ReceiptRecord[]
}

export interface WillRecord {
  readonly topic: string
  readonly qos: Qos
  readonly retain: boolean
  /** Base64. */
  readonly payload: string
  /** As lines of a header block of the bus. */
  readonly properties: string
  readonly delayS: number
  /** When it is due, milliseconds since the Unix epoch; 0 while the client is connected. */
  readonly dueAt: number
}

export interface SubscriptionRecord {
  readonly filter: string
  readonly domainId: string
  readonly channelId: string
  readonly qos: Qos
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  readonly identifier: number
  /** Place in the stream behind which messages are wanted. */
  readonly since: number
  readonly owed?: Owed | undefined
}

/** Retained messages of a filter that SUBSCRIBE has asked for and that were not sent yet: places in their stream, both included. */
export interface Owed {
  readonly from: number
  readonly to: number
}

/** A message sent and not acknowledged. */
export interface InFlightRecord {
  readonly packetId: number
  /** Place in the stream. */
  readonly seq: number
  /** Whether that is a place in the stream of retained messages. */
  readonly isRetained?: boolean
  readonly topic: string
  readonly qos: Qos
  readonly retain: boolean
  readonly identifiers: readonly number[]
  /** PUBREC has come: only PUBREL is left to say. */
  readonly isReleased: boolean
}

/** A QoS 2 publication of the client between PUBLISH and PUBREL. */
export interface ReceiptRecord {
  readonly packetId: number
  /** What the stream knows it by: the same again within its window is dropped. */
  readonly messageId: string
  /** Place in the stream that it can only lie behind: when the window is over, it is looked for there. */
  readonly since: number
  readonly isAccepted: boolean
}

/** Form of the records; a process that finds another one starts the session anew. */
const FORM = 1

export function encodeRecord(record: SessionRecord): Uint8Array {
  return Buffer.from(JSON.stringify({ form: FORM, ...record }))
}

/** @returns `undefined` for what another version has written */
export function decodeRecord(value: Uint8Array): SessionRecord | undefined {
  try {
    const record = JSON.parse(Buffer.from(value).toString()) as SessionRecord & { form?: unknown }
    return record.form === FORM ? record : undefined
  } catch {
    return undefined
  }
}

/**
 * As the session stands when its connection has ended, with the will as it is owed; what is without a connection stays as it is.
 *
 * @param expiryS that the session outlives its connection, when it is not what CONNECT has asked for
 */
export function disconnected(record: SessionRecord, now: number, expiryS = record.expiryS): SessionRecord {
  const { endsAt, will } = record
  if (endsAt !== 0) return record
  return {
    ...record,
    endsAt: now + expiryS * 1_000,
    will: will && { ...will, dueAt: now + Math.min(will.delayS, expiryS) * 1_000 },
  }
}

/** Domain and client in front, so that the sessions of one can be counted; the identifier may be any text, and is hashed. */
export function recordKey({ id, domainId }: ClientPrincipal, identifier: string): string {
  return `${clientPrefix({ id, domainId })}.${createHash('sha256').update(identifier).digest('base64url')}`
}

/** Whose session has that key. */
export function holderOf(key: string): Holder {
  const [domainId = '', clientId = ''] = key.split('.', 2)
  return { domainId, clientId }
}

export function clientPrefix({ id, domainId }: Pick<ClientPrincipal, 'id' | 'domainId'>): string {
  return `${domainId}.${id}`
}
