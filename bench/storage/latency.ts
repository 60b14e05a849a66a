import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import type { Ground } from '../support/ground.ts'
import { percentile } from '../support/percentile.ts'
import type { Row } from '../support/report.ts'
import type { Pipeline } from './pipeline.ts'

const MESSAGES = 200

/** From publishing to being readable, one message at a time, while nothing else happens. */
export async function latency(ground: Ground, pipeline: Pipeline): Promise<Row[]> {
  const db = new Client({ connectionString: ground.databaseUrl })
  await db.connect()
  const writer = pipeline.startWriter()
  while (writer.position() === undefined) await sleep(1)
  const times: number[] = []
  for (let i = 0; i < MESSAGES; i++) {
    await sleep(20)
    const start = performance.now()
    const seq = await pipeline.publish(1, 1)
    // Committed with the rows.
    for (;;) {
      const { rowCount } = await db.query('select from stream_positions where seq >= $1', [seq])
      if (rowCount === 1) break
    }
    times.push(performance.now() - start)
  }
  await writer.stop()
  await db.end()
  const [p50, p99] = [percentile(times, 0.5), percentile(times, 0.99)]
  return [{ what: 'publish to readable, idle', 'p50 ms': p50, 'p99 ms': p99, 'bar ms': 100 }]
}
