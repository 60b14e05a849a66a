import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { connectBus } from '../../platform/bus/connect.ts'
import { createPublisher } from '../../platform/bus/publisher.ts'
import { captureLog } from '../support/log.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { createWriterMetrics } from '../../services/messages/writer-metrics.ts'
import { startWriter } from '../../services/messages/writer.ts'
import { createApi } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startGround, startTestGateway } from '../support/gateway.ts'

const MESSAGES = 200_000
const RECORDS = 5
const MIB = 1_048_576

it(`the writer takes a backlog of ${MESSAGES} messages in bounded memory, also past an absent database`, async () => {
  const ground = await startGround()
  const gateway = await startTestGateway(
    { SLUICE_ROLES: 'http,api', SLUICE_STREAM_MAX_BYTES: '1073741824' },
    ground,
  )
  const site = await createApi(gateway.url).given.site()
  const { log, lines } = captureLog()
  const bus = await connectBus({ servers: ground.natsUrl, name: 'test', log })
  const publisher = createPublisher(bus)
  const db = new Client({ connectionString: ground.databaseUrl })
  db.on('error', () => undefined)
  await db.connect()
  onTestFinished(async () => {
    await db.end()
    await publisher.stop()
    await bus.drain()
    await gateway.stop()
    await ground.stop()
  })

  const subject = `m.${site.domain.id}.c.${site.channel.id}`
  const payload = Buffer.from(
    JSON.stringify(Array.from({ length: RECORDS }, (_, i) => ({ n: `s${i}`, v: i }))),
  )
  for (let sent = 0; sent < MESSAGES; sent += 1_000) {
    await Promise.all(
      Array.from(
        { length: 1_000 },
        () =>
          new Promise<void>((resolve, reject) => {
            publisher.publish(subject, payload, undefined, (error) => (error ? reject(error) : resolve()))
          }),
      ),
    )
  }

  const before = process.memoryUsage().rss
  let most = 0
  const sampler = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 20)
  // A database that lets nobody in, as it does while it is away.
  const name = new URL(ground.databaseUrl).pathname.slice(1)
  const server = new Client({ connectionString: ground.databaseUrl.replace(/[^/]+$/, 'postgres') })
  await server.connect()
  await server.query(`alter database ${name} with allow_connections false`)
  const metrics = createWriterMetrics(createMetrics().registry)
  const writer = startWriter({ bus, publisher, databaseUrl: ground.databaseUrl, log, metrics })
  await sleep(3_000)
  await server.query(`alter database ${name} with allow_connections true`)
  await server.end()
  await eventually('all is stored', () => writer.position()?.seq === MESSAGES, 300_000)
  clearInterval(sampler)
  await writer.stop()

  const { rows } = await db.query<{ stored: number }>('select sum(stored)::int as stored from stored_days')
  const counted = await db.query<{ count: string }>('select count(*) from samples')
  expect(rows[0]?.stored).toBe(MESSAGES * RECORDS)
  expect(Number(counted.rows[0]?.count)).toBe(MESSAGES * RECORDS)
  expect(lines.filter((line) => line.includes('writer waits'))).toHaveLength(1)
  expect(lines.filter((line) => line.includes('writer goes on'))).toHaveLength(1)
  // Two batches of what the stream brings and two of what goes to the database: 16 MiB and 4 MiB each, and garbage.
  expect((most - before) / MIB).toBeLessThan(200)
})
