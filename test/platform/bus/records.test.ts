import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectBus } from '../../../platform/bus/connect.ts'
import type { Bus } from '../../../platform/bus/connect.ts'
import { createPublisher } from '../../../platform/bus/publisher.ts'
import type { Publisher } from '../../../platform/bus/publisher.ts'
import { createRecords } from '../../../platform/bus/records.ts'
import type { Records } from '../../../platform/bus/records.ts'
import { ensureStreams } from '../../../platform/bus/streams.ts'
import { captureLog } from '../../support/log.ts'
import { startTestNats } from '../../support/nats.ts'
import type { TestNats } from '../../support/nats.ts'

const KIB = 1024
let nats: TestNats
let bus: Bus
let publisher: Publisher
let records: Records
let disconnects = 0

beforeAll(async () => {
  nats = await startTestNats({ maxPendingBytes: 2_048 * KIB })
  bus = await connectBus({ servers: nats.url, name: 'test', log: captureLog().log })
  bus.onDisconnect(() => {
    disconnects += 1
  })
  await ensureStreams(bus)
  publisher = createPublisher(bus)
  records = await createRecords(bus, publisher, 'sessions', 512 * KIB)
})
afterAll(async () => {
  await publisher.stop()
  await bus.drain()
  await nats.stop()
})

function put(key: string, sizeBytes: number, expected = 0): Promise<number> {
  return new Promise((resolve, reject) =>
    records.put(key, Buffer.alloc(sizeBytes), expected, (error, revision) =>
      error ? reject(error) : resolve(revision),
    ),
  )
}

async function keysBelow(prefix: string, onKey: (key: string) => void = () => undefined): Promise<string[]> {
  const keys: string[] = []
  await records.scan((key) => {
    keys.push(key)
    onKey(key)
  }, prefix)
  return keys
}

describe('looking through all records', () => {
  it('finds each of them when they are more than the server may have waiting for one connection', async () => {
    const prefix = randomUUID()
    const keys = Array.from({ length: 200 }, (_, index) => `${prefix}.${index}`)
    for (const key of keys) await put(key, 100 * KIB)
    expect(await keysBelow(prefix)).toEqual(keys)
    expect(disconnects).toBe(0)
  })

  it('finds one that is larger than what is read at once', async () => {
    const prefix = randomUUID()
    await put(`${prefix}.large`, 800 * KIB)
    await put(`${prefix}.small`, 1)
    expect(await keysBelow(prefix)).toEqual([`${prefix}.large`, `${prefix}.small`])
  })

  it('ends when those that it has yet to find are removed', async () => {
    const prefix = randomUUID()
    const revisions: number[] = []
    for (let index = 0; index < 20; index += 1) revisions.push(await put(`${prefix}.${index}`, 100 * KIB))
    const removals: Promise<boolean>[] = []
    const found = await keysBelow(prefix, () => {
      removals.push(...revisions.splice(1).map((revision) => records.remove(revision)))
    })
    await Promise.all(removals)
    expect(found[0]).toBe(`${prefix}.0`)
    expect(await keysBelow(prefix)).toEqual([`${prefix}.0`])
  })

  it('finds nothing where there is nothing', async () => {
    expect(await keysBelow(randomUUID())).toEqual([])
  })
})
