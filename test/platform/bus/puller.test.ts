import { headers } from 'nats'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createPublisher } from '../../../platform/bus/publisher.ts'
import { createPuller } from '../../../platform/bus/puller.ts'
import type { Puller, PullerOptions } from '../../../platform/bus/puller.ts'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'
import { eventually } from '../../support/eventually.ts'

const KIB = 1024
let server: TestBus
let puller: Puller | undefined

beforeEach(async () => {
  server = await startTestBus()
})
afterEach(async () => {
  await puller?.stop()
  puller = undefined
  await server.stop()
})

async function givenMessages(...sizes: number[]): Promise<void> {
  const publisher = createPublisher(server.bus)
  const answers = sizes.map(
    (size) =>
      new Promise<void>((resolve, reject) =>
        publisher.publish('m.d.c.x', Buffer.alloc(size), undefined, (error) =>
          error ? reject(error) : resolve(),
        ),
      ),
  )
  await Promise.all(answers)
  await publisher.stop()
}

async function start(options: Omit<PullerOptions, 'stream' | 'fromSeq'>): Promise<Puller> {
  puller = await createPuller(server.bus, { stream: 'messages', fromSeq: 1, ...options })
  return puller
}

/** Waits until the puller asks for no more, and returns how many messages the server has not sent it. */
async function pending(): Promise<number> {
  const manager = await server.bus.connection.jetstreamManager()
  return eventually('no request under way', async () => {
    const [consumer] = await manager.consumers.list('messages').next()
    return consumer?.num_waiting === 0 && consumer.num_pending > 0 && consumer.num_pending
  })
}

describe('a puller whose reader is slow', () => {
  it('lets no more bytes wait than it may, hands out no more, and loses nothing', async () => {
    await givenMessages(...Array.from({ length: 40 }, () => 16 * KIB))
    const reader = await start({ maxBytes: 100 * KIB })
    const seqs: number[] = []
    while (seqs.length < 30) {
      expect(await pending()).toBeGreaterThanOrEqual(34 - seqs.length)
      const batch = await reader.next(1)
      expect(batch.reduce((sum, { msg }) => sum + msg.data.length, 0)).toBeLessThanOrEqual(100 * KIB)
      seqs.push(...batch.map(({ seq }) => seq))
    }
    while (seqs.length < 40) seqs.push(...(await reader.next(1)).map(({ seq }) => seq))
    expect(seqs).toEqual(Array.from({ length: 40 }, (_, index) => index + 1))
  })

  it('lets no more messages wait than it may', async () => {
    await givenMessages(...Array.from({ length: 40 }, () => 1))
    const reader = await start({ maxMessages: 15 })
    expect(await pending()).toBe(25)
    expect(await reader.next(1)).toHaveLength(15)
    expect(await pending()).toBe(10)
  })
})

describe('a server that tells of each request that it has brought all', () => {
  it('tells it of a request that is over, whatever else is under way', async () => {
    await givenMessages(...Array.from({ length: 100 }, () => 1))
    const { connection } = server.bus
    const requests: string[] = []
    connection.subscribe('$JS.API.CONSUMER.MSG.NEXT.>', {
      callback(_error, { reply = '' }) {
        // As nats-server does since 2.10, and here in any case: with 2.9.10 too.
        for (const earlier of requests) {
          connection.publish(earlier, undefined, { headers: headers(409, 'Batch Completed') })
        }
        requests.push(reply)
      },
    })
    const reader = await start({ maxMessages: 10 })
    const seqs: number[] = []
    while (seqs.length < 100) seqs.push(...(await reader.next(1)).map(({ seq }) => seq))
    expect(seqs).toEqual(Array.from({ length: 100 }, (_, index) => index + 1))
    expect(new Set(requests).size).toBe(requests.length)
    expect(requests.length).toBeGreaterThanOrEqual(10)
  })
})

describe('a message larger than all that may wait', () => {
  it('comes alone, and what is behind it comes after it', async () => {
    await givenMessages(10, 200 * KIB, 10)
    const reader = await start({ maxBytes: 100 * KIB })
    const sizes: number[][] = []
    while (sizes.flat().length < 3) sizes.push((await reader.next(1)).map(({ msg }) => msg.data.length))
    expect(sizes).toEqual([[10], [200 * KIB], [10]])
  })
})
