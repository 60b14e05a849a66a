import { DomainError } from '../../platform/errors.ts'

/** The word for a failure in logs and counters: out of a small set, and without anything the client sent. */
export function reasonWord(error: unknown): string {
  return error instanceof DomainError ? error.code : 'internal'
}
