import { randomBytes, randomUUID } from 'node:crypto'
import { describe, expect, inject, it } from 'vitest'
import { createDatabase } from '../../platform/db/connect.ts'
import { migrate } from '../../platform/db/migrate.ts'
import { searchUsers } from '../../services/users/listing.ts'
import { urlOf, withAdmin } from '../support/postgres.ts'

/** Indexes that search for parts of names uses, or of nothing else. */
const PARTS = [
  'users_parts',
  'domains_name_parts',
  'clients_name_parts',
  'channels_name_parts',
  'groups_name_parts',
]

/** A database that an ordinary user of the server migrates, who owns it or does not. */
async function withMigrated(isOwner: boolean, body: (url: string) => Promise<void>): Promise<void> {
  const server = inject('postgresUrl')
  const name = `test_${randomBytes(6).toString('hex')}`
  await withAdmin(server, async (admin) => {
    await admin.query(`create role ${name} login password '${name}'`)
    await admin.query(`create database ${name} ${isOwner ? `owner ${name}` : ''}`)
  })
  try {
    await withAdmin(urlOf(server, name), (admin) => admin.query(`grant create on schema public to ${name}`))
    const url = new URL(urlOf(server, name))
    url.username = name
    url.password = name
    await migrate(url.href)
    await body(url.href)
  } finally {
    await withAdmin(server, async (admin) => {
      await admin.query(`drop database ${name} with (force)`)
      await admin.query(`drop role ${name}`)
    })
  }
}

async function find(url: string): Promise<number> {
  const db = createDatabase({ url, maxConnections: 1 })
  try {
    await withAdmin(url, (admin) =>
      admin.query(
        `insert into users (id, username, email, first_name, last_name, password_hash)
         values ($1, 'lovelace', 'ada@example.com', 'Ada', 'Byron', '')`,
        [randomUUID()],
      ),
    )
    const nobody = { userId: randomUUID(), isSuperadmin: false }
    const search = {
      offset: 0,
      limit: 10,
      order: 'updated_at',
      dir: 'desc',
      id: undefined,
      email: undefined,
    } as const
    const [some, none] = ['VELA', 'vexa'].map((username) =>
      searchUsers(db, nobody, { ...search, username, firstName: 'ad', lastName: undefined }),
    )
    expect((await none)?.total).toBe(0)
    return (await some)?.total ?? 0
  } finally {
    await db.destroy()
  }
}

const indexesIn = (url: string) =>
  withAdmin(url, async (admin) => {
    const { rows } = await admin.query<{ indexname: string }>(
      'select indexname from pg_indexes where indexname = any ($1)',
      [PARTS],
    )
    return rows.map((row) => row.indexname).sort()
  })

describe('search for part of a name', () => {
  it('has an index for it, made by an ordinary user who owns the database', async () => {
    await withMigrated(true, async (url) => {
      expect(await indexesIn(url)).toEqual(PARTS.toSorted())
      expect(await find(url)).toBe(1)
      await withAdmin(url, async (admin) => {
        await admin.query('set enable_seqscan = off')
        for (const condition of [
          `username ilike '%vela%'`,
          `first_name ilike '%vela%' or last_name ilike '%vela%'`,
          `email ilike '%vela%' or username ilike '%vela%'`,
          `id::text like '%4e5f%'`,
        ]) {
          const { rows } = await admin.query(`explain (format json) select from users where ${condition}`)
          expect([condition, JSON.stringify(rows)]).toEqual([
            condition,
            expect.stringContaining('users_parts'),
          ])
        }
      })
    })
  })

  it('does without where the user may make no extension', async () => {
    await withMigrated(false, async (url) => {
      expect(await indexesIn(url)).toEqual([])
      expect(await find(url)).toBe(1)
    })
  })
})
