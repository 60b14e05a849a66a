/**
 * What went wrong, as the caller sees it. A closed set: every transport maps every kind, once, in a
 * `Record<ErrorKind, …>` that the compiler keeps complete.
 */
export type ErrorKind =
  | 'invalid'
  | 'unauthenticated'
  | 'forbidden'
  | 'not_found'
  | 'method_not_allowed'
  | 'conflict'
  | 'too_large'
  | 'unsupported_media_type'
  | 'unprocessable'
  | 'rate_limited'
  | 'quota_exceeded'
  | 'unavailable'
  | 'internal'

/** An error that is part of the contract. Everything else that is thrown is a bug and is answered as `internal`. */
export abstract class DomainError extends Error {
  abstract readonly kind: ErrorKind
  /** Stable name for programs, such as `route_taken`. Messages may change, codes do not. */
  abstract readonly code: string
  /** Seconds after which trying again makes sense; becomes `Retry-After` over HTTP. */
  readonly retryAfterS: number | undefined = undefined
}

/** The input does not have the form the contract asks for. The message names the field or the record. */
export class InvalidInput extends DomainError {
  readonly kind = 'invalid'
  readonly code: string
  constructor(message: string, options?: ErrorOptions & { code?: string }) {
    super(message, options)
    this.code = options?.code ?? 'invalid_input'
  }
}

/** No credentials, or credentials that do not hold. Never tells which. */
export class Unauthenticated extends DomainError {
  readonly kind = 'unauthenticated'
  readonly code = 'unauthenticated'
  constructor(message = 'missing or invalid credentials', options?: ErrorOptions) {
    super(message, options)
  }
}

/** A known caller without the permission. Also the answer for things whose existence is not the caller's business. */
export class Forbidden extends DomainError {
  readonly kind = 'forbidden'
  readonly code = 'forbidden'
  constructor(message = 'failed to perform authorization over the entity', options?: ErrorOptions) {
    super(message, options)
  }
}

/** There is no such thing, and the caller may know. */
export class NotFound extends DomainError {
  readonly kind = 'not_found'
  readonly code = 'not_found'
  constructor(message = 'entity not found', options?: ErrorOptions) {
    super(message, options)
  }
}

/** The thing is there, and this cannot be done to it. */
export class MethodNotAllowed extends DomainError {
  readonly kind = 'method_not_allowed'
  readonly code = 'method_not_allowed'
  /** HTTP methods that can, for the header `Allow`. */
  readonly allowed: readonly string[]
  constructor(allowed: readonly string[]) {
    super(`method not allowed; allowed: ${allowed.join(', ')}`)
    this.allowed = allowed
  }
}

/** The change collides with what is there: a taken name, a status that already holds. */
export class Conflict extends DomainError {
  readonly kind = 'conflict'
  readonly code: string
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** A body, a packet or a frame over its limit. */
export class TooLarge extends DomainError {
  readonly kind = 'too_large'
  readonly code = 'too_large'
  /** @param what where it is not the message as a whole */
  constructor(limitBytes: number, what?: string) {
    super(`${what === undefined ? '' : `${what} `}larger than the limit of ${limitBytes} bytes`)
  }
}

/** A body whose content type is none of the accepted ones. */
export class UnsupportedMediaType extends DomainError {
  readonly kind = 'unsupported_media_type'
  readonly code = 'unsupported_media_type'
  constructor(accepted: readonly string[]) {
    super(`unsupported content type; accepted: ${accepted.join(', ')}`)
  }
}

/** Something that the answer depends on is away. Nothing was done; trying again later is right. */
export class Unavailable extends DomainError {
  readonly kind = 'unavailable'
  readonly code = 'unavailable'
  override readonly retryAfterS = 1
}

/** As much is kept as may be, for this caller or for all: trying again makes sense once something was given up. */
export class QuotaExceeded extends DomainError {
  readonly kind = 'quota_exceeded'
  readonly code: string
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Too many failures, or too many requests of a kind that is counted, from one account or address. */
export class RateLimited extends DomainError {
  readonly kind = 'rate_limited'
  readonly code: string
  override readonly retryAfterS: number
  /** The same, not rounded up. */
  readonly waitS: number
  constructor(waitS: number, { code = 'rate_limited', message = 'too many attempts; try again later' } = {}) {
    super(message)
    this.code = code
    this.retryAfterS = Math.ceil(waitS)
    this.waitS = waitS
  }
}
