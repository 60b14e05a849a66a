import { randomBytes } from 'node:crypto'
import { inject } from 'vitest'
import { TEMPLATE, urlOf, withAdmin } from './postgres.ts'

export interface TestDatabase {
  readonly url: string
  /** Also with connections open. */
  drop(): Promise<void>
}

/** A database of its own for a test file: migrated, empty. */
export async function cloneDatabase(): Promise<TestDatabase> {
  const server = inject('postgresUrl')
  const name = `test_${randomBytes(6).toString('hex')}`
  await withAdmin(server, (admin) => admin.query(`create database ${name} template ${TEMPLATE}`))
  return {
    url: urlOf(server, name),
    async drop() {
      await withAdmin(server, (admin) => admin.query(`drop database if exists ${name} with (force)`))
    },
  }
}
