import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MESSAGES_STREAM } from '../../../platform/bus/streams.ts'
import { AuthorityTables } from '../../support/authority.ts'
import type { Channel, Client } from '../../support/authority.ts'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'

import {
  addMember,
  collect,
  connectClient,
  eventually,
  PUBLISH,
  RawClient,
  startMqttGateway,
  topicOf,
} from './support.ts'
import type { Received, TestGateway } from './support.ts'

/** Two processes' adapters on one NATS server, whose stream can be full. */
let testBus: TestBus
let tables: AuthorityTables
let a: TestGateway
let b: TestGateway
let channel: Channel
let member: Client

const NODES = { heartbeatMs: 50, leaseMs: 400 }
const ROOM_BYTES = 64 * 1_048_576

beforeAll(async () => {
  testBus = await startTestBus()
  tables = new AuthorityTables()
  a = await startMqttGateway(await testBus.connect(), { tables, nodes: NODES })
  b = await startMqttGateway(await testBus.connect(), { tables, nodes: NODES })
  channel = tables.addChannel()
  member = addMember(tables, channel)
})
afterAll(async () => {
  await a.stop()
  await b.stop()
  await testBus.stop()
})

/** With a bound of one byte the stream refuses everything. */
async function boundStream(bytes: number): Promise<void> {
  const manager = await testBus.bus.connection.jetstreamManager()
  await manager.streams.update(MESSAGES_STREAM, { max_bytes: bytes })
}

const delayed = ({ metrics }: TestGateway): number => metrics.refused('mqtt', 'will_delayed').value

async function openWithWill(
  gateway: TestGateway,
  given: { sessionExpiryInterval?: number; clientId?: string },
): Promise<{ raw: RawClient; clientId: string; topic: string; received: Received[] }> {
  const clientId = given.clientId ?? randomUUID()
  const topic = topicOf(channel, clientId)
  // With a session that reads the stream: others see also what the stream refuses.
  const witness = await connectClient(b, member, { clientId: randomUUID(), clean: false })
  const received = collect(witness)
  await witness.subscribeAsync(topic, { qos: 1 })
  const raw = new RawClient(gateway.port, 5)
  const will = { topic, payload: Buffer.from('gone'), qos: 1, retain: false } as const
  const { sessionExpiryInterval = 0 } = given
  await raw.connect(member, { clientId, will, clean: false, properties: { sessionExpiryInterval } })
  return { raw, clientId, topic, received }
}

const payloadsOf = (received: Received[]): string[] => received.map(({ payload }) => payload)

describe('a will that the stream has no room for', () => {
  it.each([0, 600])(
    'is sent once when there is room again (session expiry %i)',
    async (sessionExpiryInterval) => {
      const { raw, received } = await openWithWill(a, { sessionExpiryInterval })
      const before = delayed(a)
      await boundStream(1)
      raw.end()
      await eventually(() => expect(delayed(a)).toBeGreaterThan(before))
      await boundStream(ROOM_BYTES)
      await eventually(() => expect(payloadsOf(received)).toContain('gone'))
      expect(payloadsOf(received)).toEqual(['gone'])
    },
  )

  it('is sent by another process when the one that owed it has ended', async () => {
    const ending = await startMqttGateway(await testBus.connect(), { tables, nodes: NODES })
    const { received } = await openWithWill(ending, {})
    await boundStream(1)
    await ending.stop()
    expect(delayed(ending)).toBeGreaterThan(0)
    await boundStream(ROOM_BYTES)
    await eventually(() => expect(payloadsOf(received)).toContain('gone'))
  })

  it('is not forgotten with a session that makes room for others', async () => {
    const { raw, received } = await openWithWill(a, { sessionExpiryInterval: 600 })
    await boundStream(1)
    raw.end()
    await raw.closed()
    const evicted = a.metrics.refused('mqtt', 'session_evicted')
    const properties = { sessionExpiryInterval: 600 }
    for (let count = 0; evicted.value === 0 && count < 200; count += 1) {
      const other = new RawClient(a.port, 5)
      await other.connect(member, { clientId: randomUUID(), clean: false, properties })
      other.end()
      await other.closed()
    }
    await eventually(() => expect(evicted.value).toBeGreaterThan(0))
    await boundStream(ROOM_BYTES)
    await eventually(() => expect(payloadsOf(received)).toEqual(['gone']))
  })

  it('keeps its client out for so long, and comes ahead of what the client says next', async () => {
    const { raw, clientId, topic, received } = await openWithWill(a, { sessionExpiryInterval: 600 })
    await boundStream(1)
    raw.end()
    await raw.closed()
    const early = new RawClient(b.port, 5)
    expect(await early.connect(member, { clientId, clean: false })).toMatchObject({ reasonCode: 0x88 })
    await boundStream(ROOM_BYTES)
    const late = new RawClient(b.port, 5)
    expect(await late.connect(member, { clientId, clean: false })).toMatchObject({ reasonCode: 0 })
    late.send({ ...PUBLISH, topic, payload: 'back' })
    await eventually(() => expect(payloadsOf(received)).toContain('back'))
    expect(payloadsOf(received)).toEqual(['gone', 'back'])
    late.end()
  })
})
