import { afterEach, describe, expect, it } from 'vitest'
import { connectBus } from '../../../platform/bus/connect.ts'
import type { Bus } from '../../../platform/bus/connect.ts'
import { ensureStreams } from '../../../platform/bus/streams.ts'
import { captureLog } from '../../support/log.ts'
import { startTestNats } from '../../support/nats.ts'
import type { TestNats } from '../../support/nats.ts'

const MIB = 1_048_576
let nats: TestNats
let bus: Bus
const { log, lines } = captureLog()

async function start(args: readonly string[] = []): Promise<void> {
  nats = await startTestNats({ args })
  bus = await connectBus({ servers: nats.url, name: 'test', log })
}

async function messagesStream() {
  const manager = await bus.connection.jetstreamManager()
  return manager.streams.info('messages')
}

afterEach(async () => {
  await bus.drain()
  await nats.stop()
})

describe('the streams', () => {
  it('are made by several processes at once, each with other wishes, and once more', async () => {
    await start()
    const other = await connectBus({ servers: nats.url, name: 'other', log })
    const sizes = [8, 16, 8, 16].map((size) => ({ messagesMaxBytes: size * MIB }))
    await Promise.all(sizes.map((size, index) => ensureStreams(index % 2 ? bus : other, size)))
    await ensureStreams(bus, { messagesMaxBytes: 32 * MIB })
    await other.drain()

    const manager = await bus.connection.jetstreamManager()
    const streams = await manager.streams.list().next()
    const config = Object.fromEntries(streams.map((stream) => [stream.config.name, stream.config]))
    expect(config).toMatchObject({
      messages: { subjects: ['m.>'], storage: 'file', discard: 'new', max_bytes: 32 * MIB, max_age: 0 },
      events: { subjects: ['events.>'], storage: 'file', discard: 'old' },
      deadletters: { subjects: ['deadletters.>'], storage: 'file', discard: 'old' },
    })
  })

  it('do not shrink below what is waiting for the writer', async () => {
    await start()
    await ensureStreams(bus, { messagesMaxBytes: 8 * MIB })
    for (let sent = 0; sent < 4; sent += 1) {
      await bus.connection.jetstream().publish('m.d.c.x', new Uint8Array(MIB / 2))
    }
    await ensureStreams(bus, { messagesMaxBytes: MIB })
    const { config, state } = await messagesStream()
    expect(state.messages).toBe(4)
    expect(config.max_bytes).toBe(8 * MIB)
    expect(lines.join()).toContain('stream holds more than its new bound')
  })

  it('stay as they are where the server refuses the change', async () => {
    await start()
    await ensureStreams(bus, { messagesMaxBytes: 8 * MIB })
    await ensureStreams(bus, { messagesMaxBytes: 2 ** 50 })
    expect((await messagesStream()).config.max_bytes).toBe(8 * MIB)
    expect(lines.join()).toContain('stream kept as it was')
  })

  it('are an error where another stream holds their subjects', async () => {
    await start()
    const manager = await bus.connection.jetstreamManager()
    await manager.streams.add({ name: 'theirs', subjects: ['m.>'] })
    await expect(ensureStreams(bus)).rejects.toThrow(/stream "messages" could not be made: subjects overlap/)
  })

  it('cannot be made without room, and the error says so', async () => {
    await start()
    await expect(ensureStreams(bus, { messagesMaxBytes: 2 ** 50 })).rejects.toThrow(
      /no room for stream "messages" of 1125899906842624 bytes/,
    )
  })
})

describe('more copies than there are servers', () => {
  it.each(['with streams of one copy', 'without streams'])(
    'are refused on a single server %s, and nothing is changed',
    async (what) => {
      await start()
      const isFresh = what === 'without streams'
      if (!isFresh) await ensureStreams(bus)

      await expect(ensureStreams(bus, { replicas: 3 })).rejects.toThrow(
        /^SLUICE_STREAM_REPLICAS is 3, and there is one NATS server/,
      )

      const manager = await bus.connection.jetstreamManager()
      const copies = (await manager.streams.list().next()).map(({ config }) => config.num_replicas)
      expect(copies).toEqual(isFresh ? [] : [1, 1, 1, 1, 1])
    },
  )
})

describe('a server without JetStream', () => {
  it('is named as such', async () => {
    nats = await startTestNats({ isJetStreamOn: false })
    bus = await connectBus({ servers: nats.url, name: 'test', log })
    await expect(ensureStreams(bus)).rejects.toThrow(/JetStream is not enabled/)
  })
})
