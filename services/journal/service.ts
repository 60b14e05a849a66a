import { randomUUID } from 'node:crypto'
import type { Trx } from '../../platform/db/connect.ts'
import * as repository from './repository.ts'
import type { NewEntry } from './types.ts'

export type Journal = ReturnType<typeof createJournal>

/** The record of who did what to which entity. */
export function createJournal() {
  return {
    /** Writes entries in the transaction that does the thing: the journal is complete, and never tells of what was rolled back. */
    async record(trx: Trx, ...entries: readonly NewEntry[]): Promise<void> {
      await repository.insertEntries(
        trx,
        entries.map((entry) => ({ ...entry, id: randomUUID() })),
      )
    },
  }
}
