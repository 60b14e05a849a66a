import { DomainError } from '../errors.ts'
import type { ErrorKind } from '../errors.ts'

/** HTTP status of every kind of error (api.md 1.4). */
export const HTTP_STATUS: Record<ErrorKind, number> = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  too_large: 413,
  unsupported_media_type: 415,
  unprocessable: 422,
  rate_limited: 429,
  quota_exceeded: 429,
  internal: 500,
  unavailable: 503,
}

/** Body of every answer that is an error; clients read `message`, older ones `error` (api.md 1.4, D15). */
export interface ErrorBody {
  /** Stable code, such as `route_taken`. */
  readonly error: string
  readonly message: string
}

export function httpStatus(error: unknown): number {
  return HTTP_STATUS[error instanceof DomainError ? error.kind : 'internal']
}

/** What is not a {@link DomainError} is a bug, and none of its words leave the process. */
export function errorBody(error: unknown): ErrorBody {
  if (error instanceof DomainError) return { error: error.code, message: error.message }
  return { error: 'internal', message: 'internal error' }
}
