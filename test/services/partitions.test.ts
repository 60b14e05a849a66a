import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createClient, createDatabase } from '../../platform/db/connect.ts'
import type { Db } from '../../platform/db/connect.ts'
import { markArrivals, removeFuture } from '../../services/messages/future-retention.ts'
import { startMaintenance } from '../../services/messages/maintenance.ts'
import { createAhead, dropBefore, weekOf } from '../../services/messages/partitions.ts'
import { dropExpiredWeeks, removeExpiredDays } from '../../services/messages/retention.ts'
import { findChannelState } from '../../services/messages/state.ts'
import { tidyWeeks } from '../../services/messages/tidy.ts'
import { countDays } from '../../services/messages/totals.ts'
import { cloneDatabase } from '../support/database.ts'
import type { TestDatabase } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'
import { captureLog } from '../support/log.ts'

const DAY = 86_400
const WEEK = 7 * DAY
const now = Date.now() / 1_000

let database: TestDatabase
let db: Db
beforeEach(async () => {
  database = await cloneDatabase()
  db = createDatabase({ url: database.url, maxConnections: 2 })
})
afterEach(async () => {
  await db.destroy()
  await database.drop()
})

/** A domain with a channel. */
async function givenChannel(retentionDays: number | null = null): Promise<string> {
  const [domain, channel, owner] = [randomUUID(), randomUUID(), randomUUID()]
  await sql`insert into domains (id, name, route, created_by, message_retention_days)
    values (${domain}, 'Plant', ${domain}, ${owner}, ${retentionDays})`.execute(db)
  await sql`insert into channels (id, domain_id, name, created_by) values (${channel}, ${domain}, 'Air', ${owner})`.execute(
    db,
  )
  await sql`insert into stored_channels (channel_id, domain_id) values (${channel}, ${domain})`.execute(db)
  return channel
}

/** Stores as the writer does: a row, and its count. */
async function givenReading(channel: string, time: number): Promise<void> {
  await sql`insert into samples (series_id, channel_no, time, place)
    select 1, no, ${time}, 1 from stored_channels where channel_id = ${channel}`.execute(db)
  await sql`insert into stored_days values (${channel}, 'readings', ${Math.floor(time / DAY)}, 1)
    on conflict (channel_id, kind, day) do update set stored = stored_days.stored + 1`.execute(db)
}

async function givenJson(channel: string, time: number): Promise<void> {
  await sql`insert into json_messages (stream_seq, record, domain_id, channel_id, subtopic, protocol, format, created, payload)
    values (1, 0, ${randomUUID()}, ${channel}, '', 'http', 'line', ${Math.floor(time)}::bigint * 1000000000, '{}')`.execute(
    db,
  )
  await sql`insert into stored_days values (${channel}, 'json:line', ${Math.floor(time / DAY)}, 1)
    on conflict (channel_id, kind, day) do update set stored = stored_days.stored + 1`.execute(db)
}

async function partitionsOf(channel: string): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select tableoid::regclass::text as name from samples
    where channel_no = (select no from stored_channels where channel_id = ${channel}) order by time`.execute(
    db,
  )
  return rows.map(({ name }) => name)
}

/** Removes what has expired, as upkeep does. */
async function removeExpired(platformDays: number) {
  const weeks = await dropExpiredWeeks(db, platformDays, now)
  return { weeks, ...(await removeExpiredDays(db, platformDays, now, never)) }
}

async function readingsOf(channel: string): Promise<number | undefined> {
  const { rows } = await sql<{ readings: number }>`
    select readings from channel_states where channel_id = ${channel}`.execute(db)
  return rows[0]?.readings
}

const never = new AbortController().signal

describe('the state of a channel', () => {
  it('is a new one after whatever is stored or removed, also when the same is stored again', async () => {
    const channel = await givenChannel(10)
    const other = await givenChannel()
    const states = new Set<string>()
    const look = async () => states.add((await findChannelState(db, channel)).fingerprint)
    await look()
    for (let round = 0; round < 2; round++) {
      await givenReading(channel, now - 30 * DAY)
      await look()
      await givenReading(channel, now - 30 * DAY)
      await look()
      await givenJson(channel, now - 30 * DAY)
      await look()
      expect(await readingsOf(channel)).toBe(2)
      await removeExpired(0)
      await look()
      expect(await readingsOf(channel)).toBe(0)
    }
    await givenReading(other, now)
    await look()
    expect(states.size).toBe(9)
  })

  it('counts what goes with its week', async () => {
    const channel = await givenChannel()
    for (const age of [0, 1, 6 * WEEK]) await givenReading(channel, now - age)
    await dropBefore(db, now - 3 * WEEK)
    expect(await readingsOf(channel)).toBe(2)
  })
})

describe('partitions', () => {
  it('take each reading to its week, and absurd times to the ends', async () => {
    const channel = await givenChannel()
    for (const time of [0, now, 4_070_908_800]) await givenReading(channel, time)
    expect(await partitionsOf(channel)).toEqual(['samples_early', `samples_w${weekOf(now)}`, 'samples_late'])
  })

  it('are made ahead, and what came before they were is moved there', async () => {
    const channel = await givenChannel()
    const soon = now + 5 * WEEK
    await givenReading(channel, soon)
    await givenReading(channel, 4_070_908_800)
    expect(await partitionsOf(channel)).toEqual(['samples_late', 'samples_late'])

    expect(await createAhead(db, now + 4 * WEEK)).toBe(4)

    expect(await partitionsOf(channel)).toEqual([`samples_w${weekOf(soon)}`, 'samples_late'])
    expect(await createAhead(db, now + 4 * WEEK)).toBe(0)
  })

  it('are dropped whole, with their counts, and take late arrivals still', async () => {
    const channel = await givenChannel()
    for (const time of [1_000_000_000, now - 3 * WEEK, now]) await givenReading(channel, time)

    expect(await dropBefore(db, now - WEEK)).toBe(4)

    expect(await partitionsOf(channel)).toEqual([`samples_w${weekOf(now)}`])
    expect(await countDays(db, channel, 'readings')).toBe(1)
    await givenReading(channel, now - 3 * WEEK)
    expect(await partitionsOf(channel)).toEqual(['samples_early', `samples_w${weekOf(now)}`])
  })
})

describe('upkeep', () => {
  it('that is kept from its lock by a long reader does all the rest, and comes back for it', async () => {
    const channel = await givenChannel()
    await givenReading(channel, now - 4 * WEEK)
    await givenJson(channel, now - 4 * WEEK)
    const reader = createClient(database.url, 'reader')
    await reader.connect()
    await reader.query('begin; select from samples limit 1')
    const { log, lines } = captureLog()
    const maintenance = startMaintenance({ db, retentionDays: 14, log, retryMs: 10 })
    await eventually('JSON messages are gone', async () => (await countDays(db, channel, 'json:line')) === 0)
    expect(lines.filter((line) => line.includes('upkeep of stored messages failed'))).not.toEqual([])
    expect(lines.filter((line) => line.includes('"step":"expired weeks"'))).not.toEqual([])
    expect(await countDays(db, channel, 'readings')).toBe(1)
    await reader.end()
    await eventually('readings too', async () => (await countDays(db, channel, 'readings')) === 0)
    await maintenance.stop()
  })
})

describe('weeks that are over', () => {
  const bytesOf = async (table: string) =>
    (await sql<{ bytes: number }>`select pg_indexes_size(${table}::regclass) as bytes`.execute(db)).rows[0]
      ?.bytes ?? 0

  it('get smaller indexes, once, and keep what they have', async () => {
    const week = weekOf(now) - 2
    // A thousand series in turns.
    await sql`insert into samples (series_id, channel_no, time, place, value)
      select i % 1000, 1, ${week * WEEK} + i, i, i from generate_series(1, 100000) as i`.execute(db)
    const before = await bytesOf(`samples_w${week}`)

    expect(await tidyWeeks(db, now, never)).toBeGreaterThan(0)

    expect(await bytesOf(`samples_w${week}`)).toBeLessThan(before)
    const { rows } = await sql`select count(*) as rows, sum(value) as sum from samples`.execute(db)
    expect(rows).toEqual([{ rows: 100_000, sum: 5_000_050_000 }])
    expect(await tidyWeeks(db, now, never)).toBe(0)
    expect(await tidyWeeks(db, now + 2 * WEEK, never)).toBe(2)
  })

  it('are done anew where somebody broke off, and what that left goes', async () => {
    const table = `samples_w${weekOf(now) - 2}`
    await sql.raw(`create index ${table}_left_ccnew on ${table} (value)`).execute(db)
    await sql
      .raw(`update pg_index set indisvalid = false where indexrelid = '${table}_left_ccnew'::regclass`)
      .execute(db)
    await tidyWeeks(db, now, never)
    const { rows } = await sql`select from pg_index where not indisvalid`.execute(db)
    expect(rows).toEqual([])
  })
})

describe('retention', () => {
  it('keeps everything for ever unless it is told otherwise', async () => {
    const channel = await givenChannel()
    await givenReading(channel, 0)
    await givenJson(channel, 1_000_000_000)
    expect(await removeExpired(0)).toEqual({ weeks: 0, readings: 0, json: 0 })
  })

  it('of the platform drops weeks, and JSON messages by the day', async () => {
    const channel = await givenChannel()
    for (const time of [now - 4 * WEEK, now]) {
      await givenReading(channel, time)
      await givenJson(channel, time)
    }
    const removed = await removeExpired(14)
    expect(removed).toMatchObject({ readings: 0, json: 1 })
    expect(removed.weeks).toBeGreaterThan(0)
    expect(await countDays(db, channel, 'readings')).toBe(1)
    expect(await countDays(db, channel, 'json:line')).toBe(1)
  })

  it('of readings from the far future goes by when they arrived', async () => {
    const [kept, brief] = [await givenChannel(), await givenChannel(3)]
    const given = async (seq: number) => {
      for (const channel of [kept, brief]) {
        await sql`insert into samples (series_id, channel_no, time, place)
          select 1, no, 4000000000, ${seq}::bigint << 20 from stored_channels where channel_id = ${channel}`.execute(
          db,
        )
        await sql`insert into stored_days values (${channel}, 'readings', ${Math.floor(4e9 / DAY)}, 1)
          on conflict (channel_id, kind, day) do update set stored = stored_days.stored + 1`.execute(db)
      }
      await sql`insert into stream_positions (stream, created_at, seq) values ('messages', '2026-01-01', ${seq})
        on conflict (stream) do update set seq = excluded.seq`.execute(db)
    }
    const left = () => Promise.all([kept, brief].map((channel) => countDays(db, channel, 'readings')))
    await given(7)
    await markArrivals(db, now)
    await given(8)
    expect(await removeFuture(db, 0, now + 3 * DAY, never)).toBe(0)
    expect(await removeFuture(db, 0, now + 4 * DAY, never)).toBe(1)
    expect(await left()).toEqual([2, 1])
    await markArrivals(db, now + 4 * DAY)
    expect(await removeFuture(db, 5, now + 6 * DAY, never)).toBe(1)
    expect(await left()).toEqual([1, 1])
    // Another stream counts from 1 again: its readings are not those that arrived long ago.
    await sql`update stream_positions set created_at = '2026-06-01'`.execute(db)
    expect(await removeFuture(db, 5, now + 60 * DAY, never)).toBe(0)
  })

  it('of a domain that keeps less removes its readings alone, to the day', async () => {
    const [brief, other] = [await givenChannel(3), await givenChannel()]
    for (const channel of [brief, other]) {
      for (const age of [0, 2, 5, 6]) await givenReading(channel, now - age * DAY)
      await givenJson(channel, now - 5 * DAY)
    }
    expect(await removeExpired(0)).toEqual({ weeks: 0, readings: 2, json: 1 })
    expect(await countDays(db, brief, 'readings')).toBe(2)
    expect(await partitionsOf(brief)).toHaveLength(2)
    expect(await partitionsOf(other)).toHaveLength(4)
  })

  it('of a domain that keeps more holds the weeks of all', async () => {
    const [patient, other] = [await givenChannel(365), await givenChannel()]
    for (const channel of [patient, other]) await givenReading(channel, now - 4 * WEEK)
    expect(await removeExpired(7)).toMatchObject({ weeks: 0 })
    expect(await partitionsOf(patient)).toHaveLength(1)
  })
})
