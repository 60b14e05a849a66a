import { connectBus } from '../../platform/bus/connect.ts'
import type { Bus } from '../../platform/bus/connect.ts'
import { ensureStreams } from '../../platform/bus/streams.ts'
import { captureLog } from './log.ts'
import { startTestNats } from './nats.ts'
import type { TestNats } from './nats.ts'

export interface TestBus {
  readonly nats: TestNats
  readonly bus: Bus
  /** What the bus and all that stands on it has logged. */
  readonly lines: string[]
  /** Another connection to the same server, as another process has one. */
  connect(): Promise<Bus>
  stop(): Promise<void>
}

/** A NATS server of its own with the streams of Sluice, and a connection to it. */
export async function startTestBus(): Promise<TestBus> {
  const nats = await startTestNats()
  const { log, lines } = captureLog()
  const buses: Bus[] = []
  async function connect(): Promise<Bus> {
    const bus = await connectBus({ servers: nats.url, name: 'test', log })
    buses.push(bus)
    return bus
  }
  const bus = await connect()
  await ensureStreams(bus, { messagesMaxBytes: 64 * 1_048_576 })
  return {
    nats,
    bus,
    lines,
    connect,
    async stop() {
      await Promise.all(buses.map((each) => each.drain()))
      await nats.stop()
    },
  }
}
