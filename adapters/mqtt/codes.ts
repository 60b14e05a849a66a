import { DomainError } from '../../platform/errors.ts'
import type { ErrorKind } from '../../platform/errors.ts'

/** Reason codes of MQTT 5 section 2.4, those that we send. Below 0x80 is success. */
export const Reason = {
  success: 0x00,
  noSubscriptionExisted: 0x11,
  unspecified: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  unsupportedProtocolVersion: 0x84,
  identifierNotValid: 0x85,
  badCredentials: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  quotaExceeded: 0x97,
  payloadFormatInvalid: 0x99,
  connectionRateExceeded: 0x9f,
  maximumConnectTime: 0xa0,
} as const

export type ReasonCode = (typeof Reason)[keyof typeof Reason]

/**
 * MQTT 5 reason codes in answer to PUBLISH (PUBACK, PUBREC). What cannot be stored is 0x97: a client may send it again
 * later, while 0x83 or 0x80 would say that the message itself is at fault.
 */
const PUBLISH: Record<ErrorKind, ReasonCode> = {
  invalid: Reason.topicNameInvalid,
  unauthenticated: Reason.notAuthorized,
  forbidden: Reason.notAuthorized,
  // Whether a channel exists is not a stranger's business.
  not_found: Reason.notAuthorized,
  method_not_allowed: Reason.notAuthorized,
  conflict: Reason.unspecified,
  too_large: Reason.quotaExceeded,
  unsupported_media_type: Reason.payloadFormatInvalid,
  unprocessable: Reason.payloadFormatInvalid,
  rate_limited: Reason.quotaExceeded,
  quota_exceeded: Reason.quotaExceeded,
  unavailable: Reason.quotaExceeded,
  internal: Reason.unspecified,
}

/** MQTT 5 reason codes in answer to one filter of a SUBSCRIBE. */
const SUBSCRIBE: Record<ErrorKind, ReasonCode> = {
  ...PUBLISH,
  invalid: Reason.topicFilterInvalid,
  unavailable: Reason.unspecified,
}

/** MQTT 5 reason codes in answer to CONNECT. */
const CONNECT: Record<ErrorKind, ReasonCode> = {
  ...PUBLISH,
  unauthenticated: Reason.badCredentials,
  // All that there is to fight over is the session.
  conflict: Reason.sessionTakenOver,
  too_large: Reason.packetTooLarge,
  rate_limited: Reason.connectionRateExceeded,
  unavailable: Reason.serverUnavailable,
  internal: Reason.serverUnavailable,
}

const REASONS = { publish: PUBLISH, subscribe: SUBSCRIBE, connect: CONNECT }

/** The MQTT 5 reason code for what went wrong; what is no {@link DomainError} is a bug and answers as `internal`. */
export function reasonFor(error: unknown, request: keyof typeof REASONS): ReasonCode {
  if (!(error instanceof DomainError)) return REASONS[request].internal
  // The input of a PUBLISH is its topic or its payload.
  const isPayload = request === 'publish' && error.kind === 'invalid' && error.code !== 'invalid_topic'
  return isPayload ? Reason.payloadFormatInvalid : REASONS[request][error.kind]
}

/** What is over after a while. */
const UNAVAILABLE: ReadonlySet<ReasonCode> = new Set([
  Reason.serverUnavailable,
  Reason.quotaExceeded,
  Reason.connectionRateExceeded,
  Reason.serverShuttingDown,
  Reason.maximumConnectTime,
  Reason.sessionTakenOver,
])

/** CONNACK return code of MQTT 3.1.1 section 3.2.2.3 for a reason code of MQTT 5. */
export function returnCodeFor(reason: ReasonCode): 1 | 2 | 3 | 4 | 5 {
  if (reason === Reason.unsupportedProtocolVersion) return 1
  if (reason === Reason.identifierNotValid) return 2
  if (UNAVAILABLE.has(reason)) return 3
  if (reason === Reason.badCredentials) return 4
  return 5
}

/** CONNACK knows fewer reasons than DISCONNECT (MQTT 5 section 3.2.2.2): what stands for the others [MQTT-3.2.2-8]. */
const IN_CONNACK: Partial<Record<ReasonCode, ReasonCode>> = {
  [Reason.serverShuttingDown]: Reason.serverUnavailable,
  [Reason.maximumConnectTime]: Reason.serverUnavailable,
  // "None of the other reason codes apply"; "unavailable" would have it try again, and take the session back.
  [Reason.sessionTakenOver]: Reason.unspecified,
}

export function connackReason(reason: ReasonCode): ReasonCode {
  return IN_CONNACK[reason] ?? reason
}

/** The client broke the protocol, or sent what we do not take. Ends its connection. */
export class ProtocolViolation extends Error {
  readonly reason: ReasonCode
  /** Stable word for logs and the counter of refusals. */
  readonly code: string
  constructor(reason: ReasonCode, code: string, message: string) {
    super(message)
    this.reason = reason
    this.code = code
  }
}

export function malformed(message: string): ProtocolViolation {
  return new ProtocolViolation(Reason.malformedPacket, 'malformed_packet', message)
}

export function protocolError(message: string): ProtocolViolation {
  return new ProtocolViolation(Reason.protocolError, 'protocol_error', message)
}
