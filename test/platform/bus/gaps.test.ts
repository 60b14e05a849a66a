import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { connectBus } from '../../../platform/bus/connect.ts'
import type { Bus } from '../../../platform/bus/connect.ts'
import { watchGaps } from '../../../platform/bus/gaps.ts'
import type { Gaps } from '../../../platform/bus/gaps.ts'
import type { Message } from '../../../platform/bus/message.ts'
import { createPublisher, publishAndWait } from '../../../platform/bus/publisher.ts'
import type { Publisher } from '../../../platform/bus/publisher.ts'
import { ensureStreams, MESSAGES_STREAM } from '../../../platform/bus/streams.ts'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'
import { captureLog } from '../../support/log.ts'
import { startProxy } from '../../support/proxy.ts'
import type { Proxy } from '../../support/proxy.ts'

let server: TestBus
let publisher: Publisher
let proxy: Proxy
let shaky: Bus
let gaps: Gaps
let missed: (Message | undefined)[]

beforeEach(async () => {
  server = await startTestBus()
  publisher = createPublisher(server.bus)
  proxy = await startProxy(server.nats.url)
  shaky = await connectBus({ servers: proxy.url, name: 'shaky', log: captureLog().log })
  missed = []
  await publish('before')
  gaps = watchGaps(shaky, (message) => missed.push(message))
  // Asked behind it, on the same connection: the first look at the stream is answered.
  await (await shaky.connection.jetstreamManager()).streams.info(MESSAGES_STREAM)
})
afterEach(async () => {
  gaps.stop()
  await shaky.drain()
  await proxy.stop()
  await publisher.stop()
  await server.stop()
})

const publish = (level: string) => publishAndWait(publisher, `m.d.c.c.${level}`, Buffer.from('payload'))

async function whileCut(act: () => Promise<unknown>): Promise<void> {
  proxy.cut()
  await vi.waitFor(() => expect(shaky.isConnected).toBe(false))
  await act()
  proxy.restore()
}

describe('after the bus was away', () => {
  it('each message that came meanwhile is told once, without its payload, and none from before', async () => {
    await whileCut(async () => {
      await publish('one')
      await publish('two')
    })
    await vi.waitFor(() => expect(missed).toHaveLength(2), { timeout: 10_000 })
    expect(missed.map((message) => message?.levels)).toEqual([['one'], ['two']])
    expect(missed[0]?.payload).toHaveLength(0)
    await whileCut(() => publish('three'))
    await vi.waitFor(() => expect(missed).toHaveLength(3), { timeout: 10_000 })
    expect(missed[2]?.levels).toEqual(['three'])
  })

  it('there is no telling what was missed when the stream counts anew', async () => {
    await whileCut(async () => {
      const manager = await server.bus.connection.jetstreamManager()
      await manager.streams.delete(MESSAGES_STREAM)
      await ensureStreams(server.bus, { messagesMaxBytes: 64 * 1_048_576 })
    })
    await vi.waitFor(() => expect(missed).toEqual([undefined]), { timeout: 10_000 })
  })

  it('nor when what came meanwhile is gone already', async () => {
    await whileCut(async () => {
      await publish('one')
      await publish('two')
      const manager = await server.bus.connection.jetstreamManager()
      await manager.streams.purge(MESSAGES_STREAM)
    })
    await vi.waitFor(() => expect(missed).toEqual([undefined]), { timeout: 10_000 })
  })
})
