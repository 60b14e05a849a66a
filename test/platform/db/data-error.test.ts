import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isDataError } from '../../../platform/db/connect.ts'
import { cloneDatabase } from '../../support/database.ts'
import type { TestDatabase } from '../../support/database.ts'

let database: TestDatabase
let client: Client
beforeAll(async () => {
  database = await cloneDatabase()
  client = new Client({ connectionString: database.url })
  await client.connect()
  await client.query(
    "create temp table t (n int check (n < 9)); create temp sequence s maxvalue 2; select nextval('s'), nextval('s')",
  )
})
afterAll(async () => {
  await client.end()
  await database.drop()
})

describe('an error of the database', () => {
  it.each([
    ['a number out of range', 'insert into t values (3000000000)', true],
    ['a text that is no number', `select 'x'::int`, true],
    ['a violated constraint', 'insert into t values (10)', true],
    [
      'a key that an index has no room for',
      `create table w (t text unique); insert into w select string_agg(random()::text, '') from generate_series(1, 1000)`,
      true,
    ],
    ['a sequence that has come to its end', `select nextval('s')`, false],
    ['a table that is not there', 'select from nowhere', false],
  ])('(%s) is or is not about the data', async (_what, statement, expected) => {
    const error: unknown = await client.query(statement).catch((caught: unknown) => caught)
    expect(isDataError(error)).toBe(expected)
  })
})
