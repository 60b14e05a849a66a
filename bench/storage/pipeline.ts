import { randomUUID } from 'node:crypto'
import { connectBus } from '../../platform/bus/connect.ts'
import type { Bus } from '../../platform/bus/connect.ts'
import { messageHeaders, nowNs } from '../../platform/bus/message.ts'
import { createPublisher } from '../../platform/bus/publisher.ts'
import type { Publisher } from '../../platform/bus/publisher.ts'
import { ensureStreams } from '../../platform/bus/streams.ts'
import { messageSubject } from '../../platform/bus/subject.ts'
import { createLogger } from '../../platform/log.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { createWriterMetrics } from '../../services/messages/writer-metrics.ts'
import { startWriter } from '../../services/messages/writer.ts'
import type { Writer } from '../../services/messages/writer.ts'
import type { Ground } from '../support/ground.ts'

/** Ten devices that measure a hundred things each: 1,000 series on one channel. */
const DEVICES = Array.from({ length: 10 }, () => randomUUID())
const NAMES = 100
const domainId = randomUUID()
const channelId = randomUUID()

export interface Pipeline {
  readonly bus: Bus
  readonly publisher: Publisher
  startWriter(): Writer
  /** Puts messages on the stream, all acknowledged when it resolves with the sequence number of the last. */
  publish(messages: number, recordsEach: number): Promise<number>
  stop(): Promise<void>
}

export async function createPipeline({ databaseUrl, natsUrl }: Ground): Promise<Pipeline> {
  const log = createLogger('warn')
  const bus = await connectBus({ servers: natsUrl, name: 'bench', log })
  await ensureStreams(bus)
  const publisher = createPublisher(bus)
  let sent = 0

  function publishOne(recordsEach: number): Promise<void> {
    const device = sent % DEVICES.length
    const payload = Buffer.from(JSON.stringify(pack(device, recordsEach, sent)))
    sent += 1
    const headers = messageHeaders({
      publisher: DEVICES[device] ?? '',
      protocol: 'mqtt',
      contentType: 'application/senml+json',
      receivedAtNs: nowNs(),
      qos: 1,
      retain: false,
    })
    const subject = messageSubject({ domainId, channelId, levels: [] })
    return new Promise((resolve, reject) => {
      publisher.publish(subject, payload, headers, (error) => (error ? reject(error) : resolve()))
    })
  }

  return {
    bus,
    publisher,
    startWriter: () =>
      startWriter({
        bus,
        publisher,
        databaseUrl,
        log,
        metrics: createWriterMetrics(createMetrics().registry),
      }),
    async publish(messages, recordsEach) {
      for (let left = messages; left > 0; left -= 1_000) {
        await Promise.all(Array.from({ length: Math.min(left, 1_000) }, () => publishOne(recordsEach)))
      }
      return sent
    },
    async stop() {
      await publisher.stop()
      await bus.drain()
    },
  }
}

/** What a device sends that samples everything it has, one thing after the other, a tenth of a second apart. */
function pack(device: number, size: number, number: number): object[] {
  const bt = Math.floor(Date.now() / 1_000) - 600
  return Array.from({ length: size }, (_, i) => ({
    ...(i === 0 ? { bn: `urn:dev:mac:0024befffe8040${device}1:`, bt } : {}),
    n: `sensor${(number * size + i) % NAMES}:temperature`,
    u: 'Cel',
    t: i / 10,
    v: Math.round(2_000 + ((number * 37 + i * 377) % 1_000)) / 100,
  }))
}
