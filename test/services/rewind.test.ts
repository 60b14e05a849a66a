import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { connectBus } from '../../platform/bus/connect.ts'
import type { Bus } from '../../platform/bus/connect.ts'
import { createPublisher } from '../../platform/bus/publisher.ts'
import type { Publisher } from '../../platform/bus/publisher.ts'
import { ensureStreams } from '../../platform/bus/streams.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { createWriterMetrics } from '../../services/messages/writer-metrics.ts'
import { startWriter } from '../../services/messages/writer.ts'
import { cloneDatabase } from '../support/database.ts'
import type { TestDatabase } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'
import { captureLog } from '../support/log.ts'
import { freePort, startTestNats } from '../support/nats.ts'
import type { TestNats } from '../support/nats.ts'

const SUBJECT = 'm.7b4a3c1e-0d57-4a4e-9d5c-0a3f4ad0a001.c.7b4a3c1e-0d57-4a4e-9d5c-0a3f4ad0a002'

let database: TestDatabase
let db: Client
let folder: string
let port: number
let nats: TestNats
let bus: Bus
let publisher: Publisher
beforeEach(async () => {
  database = await cloneDatabase()
  db = new Client({ connectionString: database.url })
  await db.connect()
  folder = await mkdtemp(join(tmpdir(), 'sluice-rewind-'))
  await mkdir(join(folder, 'now'))
  port = await freePort()
  nats = await startNats()
  bus = await connectBus({ servers: nats.url, name: 'test', log: captureLog().log })
  await ensureStreams(bus, { messagesMaxBytes: 64 * 1_048_576 })
  publisher = createPublisher(bus)
})
afterEach(async () => {
  await publisher.stop()
  await bus.drain()
  await nats.stop()
  await rm(folder, { recursive: true, force: true })
  await db.end()
  await database.drop()
})

const startNats = () => startTestNats({ port, dir: join(folder, 'now') })

async function backUp(whileItIsDown: () => Promise<void>): Promise<void> {
  await nats.stop()
  await whileItIsDown()
  nats = await startNats()
  await eventually('the bus is back', () => bus.isConnected)
}

/** What a power cut leaves of the stream: what it was at some moment before. */
const remember = () => backUp(() => cp(join(folder, 'now'), join(folder, 'then'), { recursive: true }))
const cutPower = () =>
  backUp(async () => {
    await rm(join(folder, 'now'), { recursive: true })
    await cp(join(folder, 'then'), join(folder, 'now'), { recursive: true })
  })

async function publish(from: number, count: number): Promise<void> {
  for (let value = from; value < from + count; value++) {
    const payload = Buffer.from(JSON.stringify([{ n: 'x', v: value }]))
    await new Promise<void>((resolve, reject) => {
      publisher.publish(SUBJECT, payload, undefined, (error) => (error ? reject(error) : resolve()))
    })
  }
}

function start() {
  const { log, lines } = captureLog()
  const metrics = createWriterMetrics(createMetrics().registry)
  const writer = startWriter({ bus, publisher, databaseUrl: database.url, log, metrics })
  return { writer, lines, rewinds: async () => (await metrics.rewinds.get()).values[0]?.value }
}

async function stored(): Promise<number[]> {
  const { rows } = await db.query<{ value: number }>('select value from readings order by value')
  return rows.map(({ value }) => value)
}

const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i)

describe('a stream that has lost its end to a power cut', () => {
  it.each([
    ['is still shorter than what is stored', 2],
    ['is as long again', 4],
    ['has become longer', 30],
  ])('and %s: what came in the place of the lost is stored, and nothing twice', async (_what, count) => {
    await publish(0, 6)
    await remember()
    const first = start()
    await publish(6, 4)
    await eventually('ten are stored', async () => (await stored()).length === 10)
    await first.writer.stop()
    await cutPower()
    await publish(100, count)
    const second = start()
    await eventually('the new are stored', async () => (await stored()).length >= 10 + count)
    await publish(1_000, 5)
    await eventually('and what follows', async () => (await stored()).includes(1_004))
    expect(await stored()).toEqual([...range(0, 10), ...range(100, count), ...range(1_000, 5)])
    expect(await second.rewinds()).toBe(1)
    expect(second.lines.filter((line) => line.includes('has lost the end of the stream'))).toHaveLength(1)
    await second.writer.stop()
    const third = start()
    await eventually('it runs', () => third.writer.position() !== undefined)
    expect(await third.rewinds()).toBe(0)
    await third.writer.stop()
  })

  it('while the writer runs: it finds out when it is connected again', async () => {
    await publish(0, 6)
    await remember()
    const one = start()
    await publish(6, 4)
    await eventually('ten are stored', async () => (await stored()).length === 10)
    await cutPower()
    await publish(100, 30)
    await eventually('the new are stored', async () => (await stored()).length === 40)
    expect(await stored()).toEqual([...range(0, 10), ...range(100, 30)])
    await one.writer.stop()
  })
})

describe('a stream that a writer comes back to', () => {
  it('is the same one, also when what was stored has left it', async () => {
    const first = start()
    await publish(0, 5)
    await eventually('five are stored', async () => (await stored()).length === 5)
    await first.writer.stop()
    const manager = await bus.connection.jetstreamManager()
    await manager.streams.purge('messages', { seq: 6 })
    await publish(5, 5)
    const second = start()
    await eventually('ten are stored', async () => (await stored()).length === 10)
    expect(await second.rewinds()).toBe(0)
    await second.writer.stop()
  })
})
