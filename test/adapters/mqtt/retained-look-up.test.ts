import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { createRetainedStore } from '../../../adapters/mqtt/retained-store.ts'
import type { RetainedStore } from '../../../adapters/mqtt/retained-store.ts'
import { nowNs } from '../../../platform/bus/message.ts'
import { createPublisher } from '../../../platform/bus/publisher.ts'
import type { Publisher } from '../../../platform/bus/publisher.ts'
import { RETAINED_STREAM } from '../../../platform/bus/streams.ts'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'

const channel = { domainId: randomUUID(), channelId: randomUUID() }
let testBus: TestBus
let publisher: Publisher
let writer: RetainedStore
let reader: RetainedStore

beforeAll(async () => {
  testBus = await startTestBus()
  publisher = createPublisher(testBus.bus)
  const start = () => createRetainedStore(testBus.bus, publisher, { onEvict: () => undefined })
  writer = await start()
  reader = await start()
})
afterAll(async () => {
  await writer.stop()
  await reader.stop()
  await publisher.stop()
  await testBus.stop()
})

function set(level: string): Promise<void> {
  const message = {
    ...channel,
    levels: [level],
    publisher: '',
    protocol: 'mqtt',
    contentType: '',
    receivedAtNs: nowNs(),
    payload: Buffer.from('x'),
    qos: 1,
    retain: true,
  } as const
  return new Promise((resolve, reject) =>
    writer.store(message, (error) => (error ? reject(error) : resolve())),
  )
}

const levelsOf = async (filter: string[]): Promise<string[]> =>
  (await reader.find(channel, filter)).map(({ message }) => message.levels.join('/'))

it('a look-up finds what another process has acknowledged just before, in the order of places', async () => {
  for (let index = 0; index < 50; index += 1) {
    await set(`order${index}`)
    expect(await levelsOf([`order${index}`])).toEqual([`order${index}`])
  }
  await set('order7')
  expect((await levelsOf(['#'])).slice(-2)).toEqual(['order49', 'order7'])
})

it('a look-up asks for the last message of all topics once at the most, while nothing new is retained', async () => {
  await set('taken away')
  const manager = await testBus.bus.connection.jetstreamManager()
  const { last_seq: last } = (await manager.streams.info(RETAINED_STREAM)).state
  await manager.streams.deleteMessage(RETAINED_STREAM, last)
  // A process that begins now cannot come to that place.
  const late = await createRetainedStore(testBus.bus, publisher, { onEvict: () => undefined })
  onTestFinished(() => late.stop())
  const asked: string[] = []
  const watch = testBus.bus.connection.subscribe(`$JS.API.STREAM.MSG.GET.${RETAINED_STREAM}`, {
    callback: (_, msg) => asked.push(msg.string()),
  })
  onTestFinished(() => watch.unsubscribe())
  await testBus.bus.flush()
  for (let index = 0; index < 5; index += 1) await late.find(channel, ['nothing'])
  await testBus.bus.flush()
  expect(asked.filter((request) => request.includes('last_by_subj')).length).toBeLessThanOrEqual(2)
  // Two, where the first one came before the process had read what there is.
  asked.length = 0
  for (let index = 0; index < 5; index += 1) await late.find(channel, ['nothing'])
  await testBus.bus.flush()
  expect(asked).toEqual([])
  await set('new')
  expect((await late.find(channel, ['new'])).length).toBe(1)
})
