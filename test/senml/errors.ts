import { SenmlError, type SenmlErrorCode } from '../../senml/errors.ts'

/** What a call throws, which has to be a `SenmlError`: its code, and where it points. */
export function failureOf(call: () => unknown): { code: SenmlErrorCode; index?: number; field?: string } {
  try {
    call()
  } catch (error) {
    if (!(error instanceof SenmlError)) throw error
    const { code, index, field } = error
    return { code, ...(index !== undefined && { index }), ...(field !== undefined && { field }) }
  }
  throw new Error('nothing was thrown')
}
