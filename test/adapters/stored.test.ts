import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createStoredAcks } from '../../adapters/stored.ts'
import { announceCommitted } from '../../platform/bus/committed.ts'
import { createPublisher } from '../../platform/bus/publisher.ts'
import type { Publisher } from '../../platform/bus/publisher.ts'
import { startTestBus } from '../support/bus.ts'
import type { TestBus } from '../support/bus.ts'
import { eventually } from '../support/eventually.ts'

let server: TestBus
let publisher: Publisher
beforeAll(async () => {
  server = await startTestBus()
  publisher = createPublisher(server.bus)
})
afterAll(async () => {
  await publisher.stop()
  await server.stop()
})

const SUBJECT = 'm.domain.c.channel'

describe('an acknowledgement that waits for the database', () => {
  it('comes when the writer has committed the message, and for each in its turn', async () => {
    const acks = createStoredAcks(server.bus)
    const answered: number[] = []
    const before = await lastSeq()
    for (let n = 1; n <= 3; n++) {
      publisher.publish(
        SUBJECT,
        Buffer.from('x'),
        undefined,
        acks.wait(() => answered.push(n)),
      )
    }
    await eventually('all are on the stream', async () => (await lastSeq()) === before + 3)
    await server.bus.flush()
    expect(answered).toEqual([])
    announceCommitted(server.bus, { seq: before + 2, createdAt: 'one', rewinds: 0 })
    await eventually('two are answered', () => answered.length === 2)
    announceCommitted(server.bus, { seq: before + 3, createdAt: 'one', rewinds: 0 })
    await eventually('the third', () => answered.length === 3)
    expect(answered).toEqual([1, 2, 3])
    acks.stop()
  })

  it('is refused when the writer does not come to it in time, and when the gateway stops', async () => {
    const acks = createStoredAcks(server.bus, { timeoutMs: 300 })
    const errors: string[] = []
    const failed = (error?: Error) => errors.push(error?.message ?? 'stored')
    publisher.publish(SUBJECT, Buffer.from('x'), undefined, acks.wait(failed))
    await eventually('it is refused', () => errors.length === 1)
    const before = await lastSeq()
    publisher.publish(SUBJECT, Buffer.from('x'), undefined, acks.wait(failed))
    await eventually('another is on the stream', async () => (await lastSeq()) > before)
    await server.bus.flush()
    acks.stop()
    expect(errors).toEqual(['not stored within 300 ms', 'the gateway is stopping'])
  })

  it('comes for what is on the stream already, at once when it is stored and else when it is', async () => {
    const acks = createStoredAcks(server.bus)
    const answered: string[] = []
    acks.follow(8, () => answered.push('later'))
    acks.follow(5, () => answered.push('sooner'))
    announceCommitted(server.bus, { seq: 7, createdAt: 'one', rewinds: 0 })
    await eventually('one is answered', () => answered.length === 1)
    acks.follow(6, () => answered.push('at once'))
    expect(answered).toEqual(['sooner', 'at once'])
    announceCommitted(server.bus, { seq: 8, createdAt: 'one', rewinds: 0 })
    await eventually('the last is answered', () => answered.length === 3)
    acks.stop()
  })

  it('does not trust a position in a stream that is no more', async () => {
    const acks = createStoredAcks(server.bus)
    const done = (listener: () => void) => acks.wait(listener)
    let isHeard = false
    // As a writer says that was further than the stream is now.
    announceCommitted(server.bus, { seq: 1_000_000, createdAt: 'old', rewinds: 0 })
    publisher.publish(
      SUBJECT,
      Buffer.from('x'),
      undefined,
      done(() => (isHeard = true)),
    )
    await eventually('that position was heard', () => isHeard)
    let answered = false
    const before = await lastSeq()
    publisher.publish(
      SUBJECT,
      Buffer.from('x'),
      undefined,
      done(() => (answered = true)),
    )
    await eventually('it is on the stream', async () => (await lastSeq()) > before)
    announceCommitted(server.bus, { seq: 1_000_001, createdAt: 'old', rewinds: 0 })
    await server.bus.flush()
    expect(answered).toBe(false)
    announceCommitted(server.bus, { seq: before + 1, createdAt: 'new', rewinds: 0 })
    await eventually('the writer of the new stream counts', () => answered)
    acks.stop()
  })

  it('does not come for a message whose place another one has since the stream went back', async () => {
    const acks = createStoredAcks(server.bus)
    const answers: string[] = []
    let isHeard = false
    acks.follow(7, () => (isHeard = true))
    announceCommitted(server.bus, { seq: 7, createdAt: 'one', rewinds: 0 })
    await eventually('that position was heard', () => isHeard)
    acks.follow(9, (error) => answers.push(error?.message ?? 'stored'))
    // The server lost 8 and 9 in a power cut, and the writer has stored others that came as 8 and 9.
    announceCommitted(server.bus, { seq: 9, createdAt: 'one', rewinds: 1 })
    await eventually('it is answered', () => answers.length === 1)
    expect(answers).toEqual(['the stream counts anew'])
    acks.follow(9, () => answers.push('stored'))
    expect(answers.at(-1)).toBe('stored')
    acks.stop()
  })
})

async function lastSeq(): Promise<number> {
  const manager = await server.bus.connection.jetstreamManager()
  return (await manager.streams.info('messages')).state.last_seq
}
