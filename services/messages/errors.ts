import { DomainError, Unavailable } from '../../platform/errors.ts'

/** The question takes more than a reader may take. Asking the same again does not help. */
export class QueryTimeout extends DomainError {
  readonly kind = 'unavailable'
  readonly code = 'query_timeout'
  constructor(options?: ErrorOptions) {
    super(
      'the query took too long and was ended; ask for a shorter time span, fewer names or a cursor',
      options,
    )
  }
}

/**
 * Waits for an answer of NATS.
 *
 * @throws {Unavailable} there is none
 */
export async function fromBus<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    throw new Unavailable('the bus does not answer', { cause: error })
  }
}

/** As many as may run at once are running. */
export class TooManyExports extends DomainError {
  readonly kind = 'rate_limited'
  readonly code = 'too_many_exports'
  override readonly retryAfterS = 5
  constructor() {
    super('too many exports at once')
  }
}

/** Pages were asked for and not read, up to what may be held of them for a domain. */
export class TooManyUnread extends DomainError {
  readonly kind = 'rate_limited'
  readonly code = 'too_many_unread'
  override readonly retryAfterS = 5
  constructor() {
    super('too many pages have been asked for and not yet read')
  }
}

/** As many questions of the domain as may be asked at once are being asked, and others wait. */
export class TooManyReads extends DomainError {
  readonly kind = 'rate_limited'
  readonly code = 'too_many_reads'
  override readonly retryAfterS = 2
  constructor() {
    super('too many reads of this domain at once')
  }
}
