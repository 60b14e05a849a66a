import { randomBytes, randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import type { Kysely } from 'kysely'
import { expect, inject, it } from 'vitest'
import { createDatabase } from '../../platform/db/connect.ts'
import * as management from '../../platform/db/migrations/0001-management.ts'
import * as messages from '../../platform/db/migrations/0002-messages.ts'
import * as storage from '../../platform/db/migrations/0006-storage.ts'
import * as series from '../../platform/db/migrations/0007-series.ts'
import { urlOf, withAdmin } from '../support/postgres.ts'

it('the migrations to samples take every reading along, all of it', async () => {
  const server = inject('postgresUrl')
  const name = `test_${randomBytes(6).toString('hex')}`
  await withAdmin(server, (admin) => admin.query(`create database ${name}`))
  // As migrations see it: without knowledge of any table.
  const db = createDatabase({ url: urlOf(server, name), maxConnections: 1 }) as unknown as Kysely<unknown>
  try {
    await management.up(db)
    await messages.up(db)
    const [domain, channel, publisher] = [randomUUID(), randomUUID(), randomUUID()]
    await sql`
      insert into readings values
        (1, 0, ${domain}, ${channel}, ${publisher}, 'a/b', 'mqtt', 'temp', 'Cel', 1276020076.001, 60, 21.1, null, null, null, 0.1),
        (1, 1, ${domain}, ${channel}, null, '', 'nats', 'temp', null, 1276020077, null, null, 'text', null, null, null),
        (9007199254, 524287, ${domain}, ${channel}, ${publisher}, 'a/b', 'mqtt', 'door', null, 4070908800.5, null, null, null, true,
          'aGk', null),
        (4, 0, ${domain}, ${channel}, ${publisher}, '', 'mqtt', 'plain', null, 1276020078, null, 1, null, null, null, null)`.execute(
      db,
    )
    await sql`insert into json_messages values
      (3, 0, ${domain}, ${channel}, null, 'x', 'http', 'x', 1700000000000000000, '{"a":1}')`.execute(db)
    const all = () => sql`select * from readings order by stream_seq, record`.execute(db)
    const before = await all()

    await storage.up(db)
    await series.up(db)

    expect((await all()).rows).toEqual(before.rows)
    // One has a sum and an update time beside its number, one is a text, one a truth.
    const plain = await sql`select name from series where is_plain`.execute(db)
    expect(plain.rows).toEqual([{ name: 'plain' }])
    const days = await sql`select kind, day, stored from stored_days order by kind, day`.execute(db)
    expect(days.rows).toEqual([
      { kind: 'json:x', day: 19_675, stored: 1 },
      { kind: 'readings', day: 14_768, stored: 3 },
      { kind: 'readings', day: 47_117, stored: 1 },
    ])
  } finally {
    await db.destroy()
    await withAdmin(server, (admin) => admin.query(`drop database ${name} with (force)`))
  }
})
