import { SenmlError } from './errors.ts'

/**
 * Remembers the first failure of a stream: behind it nothing can be told, so everything fails the same way. What is
 * not a `SenmlError` is a bug and passes through.
 */
export class FailureLatch {
  #failure: SenmlError | undefined

  run<T>(read: () => T): T {
    if (this.#failure !== undefined) throw this.#failure
    try {
      return read()
    } catch (error) {
      if (error instanceof SenmlError) this.#failure = error
      throw error
    }
  }
}
