import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import type { Ground } from '../support/ground.ts'
import type { Row } from '../support/report.ts'
import type { Pipeline } from './pipeline.ts'

const COLUMNS = 'series_id, channel_no, time, place, value, bool_value, string_value, rest'
const ROUNDS = 3

/** From JetStream to committed rows, beside a bare COPY of those very rows and beside one INSERT each. */
export async function throughput(ground: Ground, pipeline: Pipeline): Promise<Row[]> {
  const db = new Client({ connectionString: ground.databaseUrl })
  await db.connect()
  const rows: Row[] = []
  // Once through, so that code and tables are warm.
  await writeBacklog(pipeline, 2_000, 10)
  for (const [size, messages] of [
    [1, 100_000],
    [10, 40_000],
    [100, 4_000],
  ] as const) {
    let [ours, copy, insert] = [0, 0, 0]
    for (let round = 0; round < ROUNDS; round++) {
      await db.query('truncate samples')
      ours = Math.max(ours, await writeBacklog(pipeline, messages, size))
      const chunks = await encodedRows(db)
      await db.query('truncate samples')
      copy = Math.max(copy, await bareCopy(db, chunks, messages * size))
      insert = Math.max(insert, await singleInserts(db))
    }
    rows.push({
      what: `packs of ${size}`,
      'writer rows/s': Math.round(ours),
      'bare COPY rows/s': Math.round(copy),
      'single INSERT rows/s': Math.round(insert),
      'of COPY': ours / copy,
      'times INSERT': ours / insert,
    })
  }
  await db.end()
  return rows
}

/** @returns readings a second, from the start of a writer beside a full stream until the last is committed */
async function writeBacklog(pipeline: Pipeline, messages: number, size: number): Promise<number> {
  const last = await pipeline.publish(messages, size)
  const writer = pipeline.startWriter()
  // Taking the lock and making a consumer are no part of it.
  while (writer.position() === undefined) await sleep(1)
  const start = performance.now()
  while ((writer.position()?.seq ?? 0) < last) await sleep(1)
  const seconds = (performance.now() - start) / 1_000
  await writer.stop()
  return (messages * size) / seconds
}

async function encodedRows(db: Client): Promise<Buffer[]> {
  const chunks: Buffer[] = []
  const order = 'order by place'
  const out = db.query(copyTo(`copy (select ${COLUMNS} from samples ${order}) to stdout (format binary)`))
  for await (const chunk of out) chunks.push(chunk as Buffer)
  const all = Buffer.concat(chunks)
  return Array.from({ length: Math.ceil(all.length / 262_144) }, (_, i) =>
    all.subarray(i * 262_144, (i + 1) * 262_144),
  )
}

async function bareCopy(db: Client, chunks: readonly Buffer[], rows: number): Promise<number> {
  const start = performance.now()
  const into = db.query(copyFrom(`copy samples (${COLUMNS}) from stdin (format binary)`))
  const finished = once(into, 'finish')
  for (const chunk of chunks) if (!into.write(chunk)) await once(into, 'drain')
  into.end()
  await finished
  return (rows * 1_000) / (performance.now() - start)
}

async function singleInserts(db: Client): Promise<number> {
  const count = 1_000
  const start = performance.now()
  for (let i = 0; i < count; i++) {
    await db.query({
      name: 'insert-one',
      text: `insert into samples (${COLUMNS}) values ($1, $2, $3, $4, $5, null, null, null)`,
      values: [i, 1, Date.now() / 1_000, i, i / 10],
    })
  }
  return (count * 1_000) / (performance.now() - start)
}
