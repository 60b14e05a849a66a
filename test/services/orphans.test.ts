import { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createPublisher } from '../../platform/bus/publisher.ts'
import type { Publisher } from '../../platform/bus/publisher.ts'
import { createDatabase } from '../../platform/db/connect.ts'
import type { Db } from '../../platform/db/connect.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { removeOrphans } from '../../services/messages/orphans.ts'
import { createWriterMetrics } from '../../services/messages/writer-metrics.ts'
import { startWriter } from '../../services/messages/writer.ts'
import type { Writer } from '../../services/messages/writer.ts'
import { startTestBus } from '../support/bus.ts'
import type { TestBus } from '../support/bus.ts'
import { cloneDatabase } from '../support/database.ts'
import type { TestDatabase } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'

const SUBJECT = 'm.7b4a3c1e-0d57-4a4e-9d5c-0a3f4ad0a001.c.7b4a3c1e-0d57-4a4e-9d5c-0a3f4ad0a002'
const never = new AbortController().signal

let database: TestDatabase
let client: Client
let db: Db
let server: TestBus
let publisher: Publisher
let writer: Writer
beforeEach(async () => {
  ;[database, server] = await Promise.all([cloneDatabase(), startTestBus()])
  client = new Client({ connectionString: database.url })
  await client.connect()
  db = createDatabase({ url: database.url, maxConnections: 2 })
  publisher = createPublisher(server.bus)
  const metrics = createWriterMetrics(createMetrics().registry)
  writer = startWriter({
    bus: server.bus,
    publisher,
    databaseUrl: database.url,
    log: server.bus.log,
    metrics,
  })
})
afterEach(async () => {
  await writer.stop()
  await publisher.stop()
  await server.stop()
  await db.destroy()
  await client.end()
  await database.drop()
})

async function publish(names: readonly string[], v = 1): Promise<void> {
  const payload = Buffer.from(JSON.stringify(names.map((n) => ({ n, v }))))
  await new Promise<void>((resolve, reject) => {
    publisher.publish(SUBJECT, payload, undefined, (error) => (error ? reject(error) : resolve()))
  })
}

async function ask<T>(text: string): Promise<T[]> {
  return (await client.query(text)).rows as T[]
}

const namesOfSeries = async () =>
  (await ask<{ name: string }>('select name from series order by name')).map(({ name }) => name)
const count = async (table: string) =>
  Number((await ask<{ n: number }>(`select count(*) as n from ${table}`))[0]?.n)

describe('series without samples', () => {
  it('are removed, and those with samples stay', async () => {
    await publish(['a', 'b', 'c'])
    await eventually('they are stored', async () => (await count('samples')) === 3)
    await client.query(`delete from samples where series_id = (select id from series where name = 'b')`)
    expect(await removeOrphans(db, 0, never)).toEqual({ removed: 1, last: 0 })
    expect(await namesOfSeries()).toEqual(['a', 'c'])
    expect(await ask('select series from stored_channels')).toEqual([{ series: 2 }])
    expect(await removeOrphans(db, 0, never)).toEqual({ removed: 0, last: 0 })
  })

  it('come back when the writer, which knew them by heart, stores more of them', async () => {
    await publish(['a', 'b'])
    await eventually('they are stored', async () => (await count('samples')) === 2)
    await client.query('delete from samples')
    expect(await removeOrphans(db, 0, never)).toMatchObject({ removed: 2 })
    await publish(['a', 'b'], 2)
    await eventually('they are stored', async () => (await count('readings')) === 2)
    expect(await count('samples')).toBe(2)
    expect(server.lines.filter((line) => line.includes('writer waits'))).toEqual([])
  })

  it('are never those of samples that a writer stores at the same moment', async () => {
    const names = Array.from({ length: 20 }, (_, i) => `n${i}`)
    let published = 0
    let deleted = 0
    let isOver = false
    const publishing = (async () => {
      while (!isOver) {
        await Promise.all(names.map((name) => publish([name])))
        published += names.length
      }
    })()
    // All samples go, again and again, so that each series is an orphan again and again.
    let removed = 0
    for (let round = 0; round < 60 || removed <= names.length; round++) {
      deleted += (await client.query('delete from samples')).rowCount ?? 0
      removed += (await removeOrphans(db, 0, never)).removed
    }
    isOver = true
    await publishing
    await eventually(
      'all that is left is stored',
      async () => (await count('samples')) + deleted === published,
    )
    // The view joins samples with their series: a sample of a removed one would be missing there.
    expect(await count('readings')).toBe(await count('samples'))
  })
})
