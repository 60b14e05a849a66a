import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { connectBus } from '../../../platform/bus/connect.ts'
import { createPublisher } from '../../../platform/bus/publisher.ts'
import type { Publisher, PublisherOptions } from '../../../platform/bus/publisher.ts'
import { ensureStreams } from '../../../platform/bus/streams.ts'
import { InvalidInput, TooLarge, Unavailable } from '../../../platform/errors.ts'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'
import { captureLog } from '../../support/log.ts'
import { freePort, startTestNats } from '../../support/nats.ts'

let server: TestBus

beforeAll(async () => {
  server = await startTestBus()
})
afterAll(() => server.stop())

function publish(publisher: Publisher, subject: string, payload: Uint8Array = Buffer.from('x')) {
  return new Promise<Error | undefined>((resolve) => publisher.publish(subject, payload, undefined, resolve))
}

async function withPublisher<T>(options: PublisherOptions, use: (publisher: Publisher) => Promise<T>) {
  const publisher = createPublisher(server.bus, options)
  try {
    return await use(publisher)
  } finally {
    await publisher.stop()
  }
}

describe('a published message', () => {
  it('is acknowledged after the stream has it, thousands at a time', async () => {
    const before = await stored()
    await withPublisher({}, async (publisher) => {
      const answers = Array.from({ length: 5_000 }, (_, index) =>
        publish(publisher, 'm.d.c.x', Buffer.from(`${index}`)),
      )
      expect(new Set(await Promise.all(answers))).toEqual(new Set([undefined]))
    })
    expect(await stored()).toBe(before + 5_000)
  })

  it('is refused at once when no stream takes its subject', async () => {
    await withPublisher({ timeoutMs: 600_000 }, async (publisher) => {
      expect(await publish(publisher, 'nobody.listens')).toBeInstanceOf(Unavailable)
    })
  })

  it('is refused when the acknowledgement does not come in time', async () => {
    // Somebody listens, so the server does not say that nobody does; nobody answers either.
    const listener = server.bus.connection.subscribe('deaf', { callback: () => undefined })
    await server.bus.flush()
    await withPublisher({ timeoutMs: 50 }, async (publisher) => {
      const error = await publish(publisher, 'deaf')
      expect(error).toBeInstanceOf(Unavailable)
      expect(error?.message).toContain('50 ms')
    })
    listener.unsubscribe()
  })

  it('is refused with the reason that JetStream gives', async () => {
    const manager = await server.bus.connection.jetstreamManager()
    await manager.streams.add({
      name: 'small',
      subjects: ['small.>'],
      max_bytes: 200,
      discard: 'new' as never,
    })
    await withPublisher({}, async (publisher) => {
      const errors = []
      for (let sent = 0; sent < 5; sent += 1)
        errors.push(await publish(publisher, 'small.a', Buffer.alloc(100)))
      expect(errors[0]).toBeUndefined()
      expect(errors.at(-1)).toBeInstanceOf(Unavailable)
      expect(errors.at(-1)?.cause).toMatchObject({ message: 'maximum bytes exceeded' })
    })
  })

  it('is refused when the server takes nothing so large', async () => {
    await withPublisher({}, async (publisher) => {
      expect(await publish(publisher, 'm.d.c.x', Buffer.alloc(1_100_000))).toBeInstanceOf(TooLarge)
    })
  })

  it('is refused when its topic would make the server end the connection', async () => {
    await withPublisher({}, async (publisher) => {
      expect(await publish(publisher, `m.d.c.x.${'a'.repeat(3_800)}`)).toBeUndefined()
      expect(await publish(publisher, `m.d.c.x.${'a'.repeat(4_000)}`)).toBeInstanceOf(InvalidInput)
      expect(await publish(publisher, `m.d.c.x.${'ü'.repeat(1_960)}`)).toBeInstanceOf(InvalidInput)
    })
    expect(server.lines.join()).not.toContain('disconnected')
  })

  it('is refused beyond the bound of what may wait', async () => {
    await withPublisher({ maxInFlight: 10 }, async (publisher) => {
      const answers = await Promise.all(Array.from({ length: 15 }, () => publish(publisher, 'm.d.c.x')))
      expect(answers.filter((error) => error === undefined)).toHaveLength(10)
      expect(answers.at(-1)).toBeInstanceOf(Unavailable)
    })
  })

  it('is refused beyond the bound of bytes that may wait', async () => {
    await withPublisher({ maxInFlightBytes: 1_000 }, async (publisher) => {
      const sizes = [600, 600, 400]
      const answers = await Promise.all(
        sizes.map((size) => publish(publisher, 'm.d.c.x', Buffer.alloc(size))),
      )
      expect(answers.map((error) => error === undefined)).toEqual([true, false, true])
      expect(await publish(publisher, 'm.d.c.x', Buffer.alloc(1_000))).toBeUndefined()
    })
  })

  it('is not taken as stored because some subscriber answers', async () => {
    const chatty = server.bus.connection.subscribe('chatty.>', {
      callback: (_error, msg) => msg.respond(msg.data),
    })
    await server.bus.flush()
    await withPublisher({}, async (publisher) => {
      for (const answer of ['OK', '{"ok":true}', 'null', '{"stream":"x","error":{"description":"no"}}']) {
        expect(await publish(publisher, 'chatty.a', Buffer.from(answer)), answer).toBeInstanceOf(Unavailable)
      }
      // The fields may come in any order.
      expect(await publish(publisher, 'chatty.a', Buffer.from('{"seq":1,"stream":"x"}'))).toBeUndefined()
    })
    chatty.unsubscribe()
  })

  it('is not harmed by the callback of another that throws', async () => {
    await withPublisher({}, async (publisher) => {
      publisher.publish('m.d.c.x', Buffer.from('x'), undefined, () => {
        throw new Error('bug in a callback')
      })
      expect(await publish(publisher, 'm.d.c.x')).toBeUndefined()
    })
    expect(server.lines.join()).toContain('bug in a callback')
  })

  it('is still answered when the publisher stops, and none is taken afterwards', async () => {
    const publisher = createPublisher(server.bus)
    const answer = publish(publisher, 'm.d.c.x')
    await publisher.stop()
    expect(await answer).toBeUndefined()
    expect(await publish(publisher, 'm.d.c.x')).toBeInstanceOf(Unavailable)
  })
})

describe('a server that goes away', () => {
  it('fails what is in flight and what comes, and serves again when it is back', async () => {
    const dir = await mkdtemp(path.join(tmpdir(), 'sluice-publisher-'))
    const port = await freePort()
    let nats = await startTestNats({ dir, port })
    const bus = await connectBus({ servers: nats.url, name: 'test', log: captureLog().log })
    await ensureStreams(bus)
    const publisher = createPublisher(bus, { timeoutMs: 600_000 })
    bus.connection.subscribe('deaf', { callback: () => undefined })
    await bus.flush()

    const inFlight = publish(publisher, 'deaf')
    await nats.stop()
    expect(await inFlight).toBeInstanceOf(Unavailable)
    expect(await publish(publisher, 'm.d.c.x')).toBeInstanceOf(Unavailable)

    nats = await startTestNats({ dir, port })
    await vi.waitFor(async () => expect(await publish(publisher, 'm.d.c.x')).toBeUndefined(), {
      timeout: 10_000,
    })
    await publisher.stop()
    await bus.drain()
    await nats.stop()
    await rm(dir, { recursive: true, force: true })
  })
})

describe('a connection that is closed for good', () => {
  it('fails what comes, also before anybody has been told', async () => {
    const bus = await server.connect()
    const publisher = createPublisher(bus, { timeoutMs: 600_000 })
    const closed = bus.connection.close()
    expect(await publish(publisher, 'm.d.c.x')).toBeInstanceOf(Unavailable)
    await closed
    expect(await publish(publisher, 'm.d.c.x')).toBeInstanceOf(Unavailable)
    await publisher.stop()
  })
})

async function stored(): Promise<number> {
  const manager = await server.bus.connection.jetstreamManager()
  return (await manager.streams.info('messages')).state.messages
}
