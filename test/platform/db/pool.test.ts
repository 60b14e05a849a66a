import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createDatabase } from '../../../platform/db/connect.ts'
import type { Db } from '../../../platform/db/connect.ts'
import type { PoolOptions } from '../../../platform/db/pool.ts'
import { InvalidInput, Unavailable } from '../../../platform/errors.ts'
import { cloneDatabase } from '../../support/database.ts'
import type { TestDatabase } from '../../support/database.ts'
import { eventually } from '../../support/eventually.ts'
import { leastLeft } from '../../support/garbage.ts'
import { captureLog } from '../../support/log.ts'
import { freePort } from '../../support/nats.ts'
import { endSessions, withAdmin } from '../../support/postgres.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await cloneDatabase()
})
afterAll(() => database.drop())

function openDatabase(options: Partial<PoolOptions> = {}): Db {
  const db = createDatabase({ url: database.url, maxConnections: 2, ...options })
  onTestFinished(() => db.destroy())
  return db
}

const sleepers = () =>
  withAdmin(database.url, async (admin) => {
    const { rows } = await admin.query<{ count: string }>(
      "select count(*) from pg_stat_activity where datname = current_database() and query like '%pg_sleep%' and pid <> pg_backend_pid()",
    )
    return Number(rows[0]?.count)
  })

describe('a database that is away', () => {
  it('makes every statement Unavailable, which tells no names and says when to come back', async () => {
    const db = openDatabase({ url: `postgres://someone:secret@127.0.0.1:${await freePort()}/x` })

    const error: unknown = await sql`select 1`.execute(db).catch((thrown: unknown) => thrown)

    expect(error).toBeInstanceOf(Unavailable)
    expect(error).toMatchObject({ message: 'the database is not available', retryAfterS: 1 })
  })

  it('is one line in the log, however many ask', async () => {
    const { log, lines } = captureLog()
    const db = openDatabase({ url: `postgres://someone:secret@127.0.0.1:${await freePort()}/x`, log })

    for (let request = 0; request < 50; request += 1) {
      await expect(sql`select 1`.execute(db)).rejects.toBeInstanceOf(Unavailable)
    }

    expect(lines.length).toBeLessThan(5)
    expect(lines.join('')).toContain('ECONNREFUSED')
    expect(lines.join('')).not.toContain('secret')
  })

  it('makes a statement under way Unavailable when it is shut down, and the next one works', async () => {
    const db = openDatabase()
    const asked = sql`select pg_sleep(600)`.execute(db).catch((thrown: unknown) => thrown)
    await eventually('the statement runs', async () => (await sleepers()) > 0)

    await endSessions(database.url)

    expect(await asked).toBeInstanceOf(Unavailable)
    await sql`select 1`.execute(db)
  })

  it('ends a transaction between two statements as Unavailable, and not the process', async () => {
    const db = openDatabase()

    const transaction = db.transaction().execute(async (trx) => {
      await sql`select 1`.execute(trx)
      await endSessions(database.url)
      // Until the end of the session has arrived here, the statement may still be on its way out.
      await eventually('the connection is gone', () =>
        sql`select 1`.execute(trx).then(
          () => false,
          () => true,
        ),
      )
      await sql`select 1`.execute(trx)
    })

    await expect(transaction).rejects.toBeInstanceOf(Unavailable)
    await sql`select 1`.execute(db)
  })
})

describe('a statement', () => {
  it('that takes longer than it may is Unavailable', async () => {
    const db = openDatabase({ statementTimeoutMs: 20 })
    await expect(sql`select pg_sleep(600)`.execute(db)).rejects.toBeInstanceOf(Unavailable)
  })

  it.each([
    ['a number out of range', sql`select sum(v) from (values (1e308::float8), (1e308::float8)) as t (v)`],
    ['the character U+0000', sql`select ${'a\0'}::text`],
    ['half of a surrogate pair', sql`select ${'{"a":"\\ud800"}'}::jsonb`],
    ['a time before all times', sql`select ${'-271821-04-20'}::timestamptz`],
  ])('with %s is InvalidInput', async (_what, statement) => {
    const db = openDatabase()
    await expect(statement.execute(db)).rejects.toBeInstanceOf(InvalidInput)
  })

  it('that is a bug, or violates a constraint, fails as what it is', async () => {
    const db = openDatabase()
    await expect(sql`select nonsense`.execute(db)).rejects.toMatchObject({ code: '42703' })
    const twice = sql`insert into keys (kid) values ('x'), ('x')`.execute(db)
    await expect(twice).rejects.not.toBeInstanceOf(Unavailable)
  })
})

describe('a pool with a bound to its queue', () => {
  it('refuses at once what would wait behind it, and serves what waits, though not on a connection that has ended', async () => {
    const db = openDatabase({ maxConnections: 1, maxWaiting: 2 })
    const busy = sql`select pg_sleep(600)`.execute(db).catch((thrown: unknown) => thrown)
    await eventually('the connection is taken', async () => (await sleepers()) > 0)
    const waiting = [sql`select 1`.execute(db), sql`select 1`.execute(db)]

    await expect(sql`select 1`.execute(db)).rejects.toBeInstanceOf(Unavailable)

    await endSessions(database.url)
    await busy
    await Promise.all(waiting)
  })
})

describe('the rows of an answer', () => {
  it('go with the young objects once nobody has them any more', async () => {
    const db = openDatabase()
    const ask = () => sql`select n::float8 as a, n + 0.5 as b from generate_series(1, 5000) as n`.execute(db)
    await ask()
    const left = await leastLeft(async () => {
      for (let asked = 0; asked < 20; asked += 1) await ask()
    })
    // Together they are nine megabytes. Collections in between find an answer in use, and may make that one old.
    expect(left).toBeLessThan(3_000_000)
  })
})
