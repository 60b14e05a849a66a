import { parseArgs } from 'node:util'
import { Client } from 'pg'
import { createDatabase } from '../platform/db/connect.ts'
import { latency } from './storage/latency.ts'
import { loadSamples, loadWideRows, totalBytes } from './storage/load.ts'
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
 *   npm run bench -- storage --millions 20       the larger of the two sizes; the bars are for 20
 *   npm run bench -- storage --parts latency     of writer, latency and reader
 */
const { values } = parseArgs({
  options: {
    millions: { type: 'string', default: '2' },
    parts: { type: 'string', default: 'writer,latency,reader' },
  },
})
const parts = values.parts.split(',')
const readings = Number(values.millions) * 1_000_000
/** Bytes a row do not depend on the number of rows; wide ones take long to load. */
const WIDE_MAX = 1_000_000

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
  const client = new Client({ connectionString: ground.databaseUrl })
  // Without this the end of the server would hide what went wrong.
  client.on('error', () => undefined)
  await client.connect()
  const db = createDatabase({ url: ground.databaseUrl, maxConnections: 4 })
  const small = await measureQueries(db, await loadSamples(client, readings / 10))
  const wide = Math.min(readings / 10, WIDE_MAX)
  await loadWideRows(client, wide)
  const wideBytes = (await totalBytes(client, 'wide')) / wide
  await client.query('drop table wide')
  const start = performance.now()
  const channelId = await loadSamples(client, readings)
  console.log(`loaded ${readings} readings in ${Math.round((performance.now() - start) / 1_000)} s`)
  const bytes = (await totalBytes(client, 'samples')) / readings
  const large = await measureQueries(db, channelId)
  await db.destroy()
  await client.end()
  return [
    {
      what: 'bytes a reading',
      measured: bytes,
      bar: 0.5 * wideBytes,
      beside: wideBytes,
      ratio: bytes / wideBytes,
    },
    ...Object.entries(large).map(([what, ms]) => {
      const before = small[what] ?? Number.NaN
      return {
        what: `${what}, p95 ms`,
        measured: ms,
        bar: QUERY_BARS[what] ?? 0,
        beside: before,
        ratio: ms / before,
      }
    }),
  ]
}
