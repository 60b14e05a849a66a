import { DomainError } from '../../platform/errors.ts'
import type { ErrorKind } from '../../platform/errors.ts'

/** WebSocket close codes that we send (RFC 6455 section 7.4.1 and the IANA registry of close codes). */
export const CLOSE = {
  goingAway: 1001,
  policyViolation: 1008,
  tooLarge: 1009,
  internalError: 1011,
  tryAgainLater: 1013,
} as const

/**
 * Close code for every kind of error. A frame has no answer of its own, so closing is the only way to tell a sender that it
 * was not taken.
 */
const CLOSE_CODE: Record<ErrorKind, number> = {
  invalid: CLOSE.policyViolation,
  unauthenticated: CLOSE.policyViolation,
  forbidden: CLOSE.policyViolation,
  not_found: CLOSE.policyViolation,
  method_not_allowed: CLOSE.policyViolation,
  conflict: CLOSE.policyViolation,
  too_large: CLOSE.tooLarge,
  unsupported_media_type: CLOSE.policyViolation,
  unprocessable: CLOSE.policyViolation,
  rate_limited: CLOSE.tryAgainLater,
  quota_exceeded: CLOSE.tryAgainLater,
  internal: CLOSE.internalError,
  unavailable: CLOSE.tryAgainLater,
}

export function closeCode(error: unknown): number {
  return CLOSE_CODE[error instanceof DomainError ? error.kind : 'internal']
}
