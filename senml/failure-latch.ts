import { SenmlError } from './errors.ts'

/**
 * Remembers the first failure of a stream: behind it nothing can be told, so everything fails the same way. What is
 * not a `SenmlError` is a bug and passes through.
 */
export class FailureLatch {
  #failure: SenmlError | undefined

  /**
   * Runs a reader. If it fails with something in hand, that is returned, and the failure is left to the next call:
   * records that arrived whole are not lost to the one behind them.
   */
  collect<T>(read: (items: T[]) => void): T[] {
    if (this.#failure !== undefined) throw this.#failure
    const items: T[] = []
    try {
      read(items)
    } catch (error) {
      if (!(error instanceof SenmlError)) throw error
      this.#failure = error
      if (items.length === 0) throw error
    }
    return items
  }
}
