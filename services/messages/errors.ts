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
