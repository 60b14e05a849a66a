import { parseArgs } from 'node:util'
import { Client } from 'pg'
import { createDatabase } from '../platform/db/connect.ts'
import { migrate } from '../platform/db/migrate.ts'
import { tidyWeeks } from '../services/messages/tidy.ts'
import { latency } from './storage/latency.ts'
import { DAYS, loadSamples, loadWideRows, totalBytes } from './storage/load.ts'
import { createPipeline } from './storage/pipeline.ts'
import { QUERY_BARS, measureQueries } from './storage/queries.ts'
import { throughput } from './storage/throughput.ts'
import { startGround } from './support/ground.ts'
import { report } from './support/report.ts'
import type { Row } from './support/report.ts'

/*
 * Storing and reading at the speed of Postgres: readings a second beside a bare COPY and single INSERTs, bytes a reading
 * beside wide rows, the reader's questions at one size and at ten times that, and the time from publishing to reading.
 *
 * The smaller size is the first tenth of the larger one: the same thousand things, measured for 3 days and for 30. So a
 * question that both can answer has an answer of the same length, and growth is what the rest of the table costs it.
 *
 *   npm run bench -- storage                     2 and 20 million, some eight minutes; the bars are for these
 *   npm run bench -- storage --millions 2        the larger of the two sizes
 *   npm run bench -- storage --parts latency     of writer, latency and reader
 */
const { values } = parseArgs({
  options: {
    millions: { type: 'string', default: '20' },
    parts: { type: 'string', default: 'writer,latency,reader' },
  },
})
const parts = values.parts.split(',')
const readings = Number(values.millions) * 1_000_000
/** Bytes a row do not depend on the number of rows; wide ones take long to load. */
const WIDE_MAX = 1_000_000
/** What ten times the readings may cost a question. */
const GROWTH_BAR = 1.5

const ground = await startGround()
const pipeline = await createPipeline(ground)
try {
  if (parts.includes('writer')) report('storage-writer', await throughput(ground, pipeline))
  if (parts.includes('latency')) report('storage-latency', await latency(ground, pipeline))
  if (parts.includes('reader')) report('storage-reader', await sizesAndQueries())
} finally {
  await pipeline.stop()
  await ground.stop()
}

async function sizesAndQueries(): Promise<Row[]> {
  const [few, many] = [await open(await createBeside(ground.databaseUrl)), await open(ground.databaseUrl)]
  const small = await loadSamples(few.client, readings / 10, readings)
  const start = performance.now()
  const large = await loadSamples(many.client, readings, readings)
  console.log(`loaded ${readings} readings in ${Math.round((performance.now() - start) / 1_000)} s`)
  const bytes = (await totalBytes(many.client, 'samples')) / readings
  const times = await measureQueries([
    { db: few.db, fleet: small },
    { db: many.db, fleet: large },
  ])
  const wide = Math.min(small.readings, WIDE_MAX)
  await loadWideRows(few.client, wide)
  const wideBytes = (await totalBytes(few.client, 'wide')) / wide
  // The weeks that are over; what is left of the bytes is this week's.
  await tidyWeeks(many.db, Date.now() / 1_000, new AbortController().signal)
  const tidied = (await totalBytes(many.client, 'samples')) / readings
  for (const { db, client } of [few, many]) {
    await db.destroy()
    await client.end()
  }
  const sizes = { 'bytes a reading': bytes, 'bytes a reading, finished weeks tidied': tidied }
  return [
    ...Object.entries(sizes).map(([what, measured]) => ({
      what: `${what}; beside: wide row`,
      measured,
      bar: 0.5 * wideBytes,
      beside: wideBytes,
      ratio: measured / wideBytes,
      'ratio bar': 0.5,
    })),
    ...Object.entries(times).map(([what, [before = Number.NaN, ms = Number.NaN]]) => {
      // In 3 days there are not 30 to ask for.
      const isComparable = !what.includes(`over ${DAYS} days`)
      const bar = QUERY_BARS[what]
      return {
        what: `${what}, p95 ms; beside: a tenth`,
        measured: ms,
        bar: bar ?? '',
        beside: isComparable ? before : '',
        ratio: isComparable ? ms / before : '',
        'ratio bar': isComparable && bar !== undefined ? GROWTH_BAR : '',
      }
    }),
  ]
}

async function open(url: string) {
  const client = new Client({ connectionString: url })
  // Without this the end of the server would hide what went wrong.
  client.on('error', () => undefined)
  await client.connect()
  return { client, db: createDatabase({ url, maxConnections: 4 }) }
}

/** Another database in the same server. */
async function createBeside(url: string): Promise<string> {
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query('create database beside')
  await client.end()
  const beside = url.replace(/[^/]+$/, 'beside')
  await migrate(beside)
  return beside
}
