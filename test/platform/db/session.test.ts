import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createClient, createDatabase } from '../../../platform/db/connect.ts'
import { cloneDatabase } from '../../support/database.ts'
import type { TestDatabase } from '../../support/database.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await cloneDatabase()
})
afterAll(() => database.drop())

function openDatabase() {
  const db = createDatabase({ url: database.url, maxConnections: 1 })
  onTestFinished(() => db.destroy())
  return db
}

describe('a session', () => {
  // Otherwise the writer's lock outlives a host that lost its power by two hours.
  const expected = { idle: '10', interval: '5', count: '3', timeout: '30000' }
  const question = `select current_setting('tcp_keepalives_idle') as idle, current_setting('tcp_keepalives_interval') as interval,
    current_setting('tcp_keepalives_count') as count, (select setting from pg_settings where name = 'tcp_user_timeout') as timeout`

  it('of the pool is ended by the server soon after our host is gone', async () => {
    const { rows } = await sql.raw(question).execute(openDatabase())
    expect(rows).toEqual([expected])
  })

  it('of its own is too', async () => {
    const client = createClient(database.url, 'test')
    await client.connect()
    const { rows } = await client.query(question)
    await client.end()
    expect(rows).toEqual([expected])
  })

  it('of the pool does not sit in a transaction for ever', async () => {
    const { rows } = await sql`show idle_in_transaction_session_timeout`.execute(openDatabase())
    expect(rows).toEqual([{ idle_in_transaction_session_timeout: '1min' }])
  })
})
