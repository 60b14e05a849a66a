import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createRetainedStore } from '../../../adapters/mqtt/retained-store.ts'
import type { RetainedStore } from '../../../adapters/mqtt/retained-store.ts'
import { nowNs } from '../../../platform/bus/message.ts'
import type { Message } from '../../../platform/bus/message.ts'
import { createPublisher } from '../../../platform/bus/publisher.ts'
import type { Publisher } from '../../../platform/bus/publisher.ts'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'
import { eventually } from './support.ts'

const CHANNEL = { domainId: randomUUID(), channelId: randomUUID() }
let testBus: TestBus
let publisher: Publisher
const stores: RetainedStore[] = []

beforeAll(async () => {
  testBus = await startTestBus()
  publisher = createPublisher(testBus.bus)
})
afterEach(async () => {
  for (const store of stores.splice(0)) await store.stop()
})
afterAll(async () => {
  await publisher.stop()
  await testBus.stop()
})

async function start(options: { maxEmpty?: number; sweepMs?: number }): Promise<RetainedStore> {
  const store = await createRetainedStore(testBus.bus, publisher, { onEvict: () => undefined, ...options })
  stores.push(store)
  return store
}

function set(store: RetainedStore, level: string, given: Partial<Message> = {}): Promise<void> {
  const message: Message = {
    ...CHANNEL,
    levels: [level],
    publisher: '',
    protocol: 'mqtt',
    contentType: '',
    receivedAtNs: nowNs(),
    payload: Buffer.from('x'),
    qos: 1,
    retain: true,
    ...given,
  }
  return new Promise((resolve, reject) =>
    store.store(message, (error) => (error ? reject(error) : resolve())),
  )
}

async function onFile(): Promise<number> {
  const manager = await testBus.bus.connection.jetstreamManager()
  return (await manager.streams.info('retained')).state.messages
}

describe('the stream of retained messages', () => {
  it('is rid of those that have expired, whether anybody asks for them or not', async () => {
    const store = await start({ sweepMs: 20 })
    for (let index = 0; index < 5; index += 1) {
      await set(store, `passing ${index}`, { properties: { expiryS: 1 } })
    }
    await set(store, 'lasting')
    await eventually(async () => {
      await store.find(CHANNEL, ['#'])
      expect(await onFile()).toBe(1)
    })
    expect((await store.find(CHANNEL, ['#'])).map(({ message }) => message.levels)).toEqual([['lasting']])
    expect(store.size.messages).toBe(1)
  })

  it('keeps some of those that took others away, and no more, however many there were', async () => {
    const before = await onFile()
    const store = await start({ maxEmpty: 10 })
    const domainId = randomUUID()
    for (let index = 0; index < 50; index += 1) {
      await set(store, `${index}`, { domainId })
      await set(store, `${index}`, { domainId, payload: new Uint8Array() })
    }
    await eventually(async () => expect(await onFile()).toBe(before + 10))
  })
})
