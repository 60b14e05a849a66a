import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCaretaker } from '../../../adapters/mqtt/caretaker.ts'
import { decodeRecord, recordKey } from '../../../adapters/mqtt/session-record.ts'
import { createSessionRecords } from '../../../adapters/mqtt/session-records.ts'
import type { SessionRecords } from '../../../adapters/mqtt/session-records.ts'
import { createNodes } from '../../../platform/bus/nodes.ts'
import { createPublisher } from '../../../platform/bus/publisher.ts'
import type { Publisher } from '../../../platform/bus/publisher.ts'
import { createRecords } from '../../../platform/bus/records.ts'
import { AuthorityTables } from '../../support/authority.ts'
import type { Client } from '../../support/authority.ts'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'
import type { PacketOf } from '../../support/mqtt-packets.ts'
import { leave } from './persistence/support.ts'
import {
  addMember,
  connectPacket,
  eventually,
  LIMITS,
  RawClient,
  startMqttGateway,
  topicOf,
} from './support.ts'
import type { TestGateway } from './support.ts'

/** Two processes' adapters on one NATS server. */
let testBus: TestBus
let publisher: Publisher
let records: SessionRecords
let still: TestGateway
let other: TestGateway
const tables = new AuthorityTables()
const opened: RawClient[] = []

const NODES = { heartbeatMs: 50, leaseMs: 400 }

beforeAll(async () => {
  testBus = await startTestBus()
  publisher = createPublisher(testBus.bus)
  records = createSessionRecords(await createRecords(testBus.bus, publisher, 'sessions'), LIMITS)
  still = await startMqttGateway(await testBus.connect(), { tables, nodes: NODES })
  other = await startMqttGateway(await testBus.connect(), { tables, nodes: NODES })
})
afterAll(async () => {
  for (const raw of opened) raw.end()
  await still.stop()
  await other.stop()
  await publisher.stop()
  await testBus.stop()
})

type ConnectOptions = Partial<PacketOf<'connect'>>

async function open(gateway: TestGateway, client: Client, options: ConnectOptions): Promise<RawClient> {
  const raw = new RawClient(gateway.port, 5)
  opened.push(raw)
  expect((await raw.connect(client, options)).reasonCode).toBe(0)
  return raw
}

/** Ends the sessions as a process does that has not heard of any other for longer than it waits, until no record is held. */
async function endSessions(member: Client, clientIds: readonly string[]): Promise<void> {
  const bus = await testBus.connect()
  const nodes = createNodes(bus, { heartbeatMs: 5, leaseMs: 0 })
  const caretaker = createCaretaker({
    bus,
    nodes,
    records,
    wills: { settle: () => Promise.resolve(true) },
    maxKeptBytesPerClient: LIMITS.maxDomainSessionBytes,
    onEvict: () => undefined,
    firstRoundMs: 0,
    roundMs: 10,
  })
  await eventually(async () => {
    for (const clientId of clientIds) expect(await endOf(member, clientId)).not.toBe(0)
  })
  caretaker.stop()
  nodes.stop()
}

/** Holds the answer to the next question back. @returns when it was asked, what lets it come */
function hold(): Promise<() => void> {
  return new Promise((resolve) => {
    tables.gate = async () => {
      tables.gate = () => Promise.resolve()
      await new Promise<void>((release) => resolve(release))
    }
  })
}

/** When the session on file ends, 0 for one that has a connection. */
async function endOf(member: Client, clientId: string): Promise<number | undefined> {
  const found = await records.get(recordKey({ kind: 'client', ...member }, clientId))
  return found && decodeRecord(found.value)?.endsAt
}

/** Holds up all that this process does, its heartbeats and those it hears of, as a machine that is paused does. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

describe('a process that has stood still for longer than the others wait', () => {
  it('ends the connections whose clients have connected elsewhere meanwhile, of kept sessions and of others', async () => {
    const channel = tables.addChannel()
    const member = addMember(tables, channel)
    const kept = { clientId: randomUUID(), clean: false, properties: { sessionExpiryInterval: 600 } }
    const plain = { clientId: randomUUID() }
    const before = [await open(still, member, kept), await open(still, member, plain)]
    for (const raw of before) expect(await raw.subscribe(topicOf(channel))).toEqual([1])
    await endSessions(member, [kept.clientId, plain.clientId])
    const after = [await open(other, member, kept), await open(other, member, plain)]
    // Nobody had the sessions, so nobody was asked to let go.
    for (const raw of before) await raw.ping()
    standStill(NODES.leaseMs * 2)
    // [MQTT-3.1.4-3]
    for (const raw of before) expect((await raw.next('disconnect')).reasonCode).toBe(0x8e)
    for (const raw of after) await raw.ping()
  })

  it('goes on with the sessions that nobody has taken', async () => {
    const channel = tables.addChannel()
    const member = addMember(tables, channel)
    const kept = { clientId: randomUUID(), clean: false, properties: { sessionExpiryInterval: 600 } }
    const raw = await open(still, member, kept)
    await raw.subscribe(topicOf(channel))
    await endSessions(member, [kept.clientId])
    standStill(NODES.leaseMs * 2)
    await eventually(async () => expect(await endOf(member, kept.clientId)).toBe(0))
    await raw.publish(topicOf(channel), { payload: 'still here' })
    expect((await raw.message()).text).toBe('still here')
  })

  it('does not let in whom another process has taken the session from meanwhile', async () => {
    const channel = tables.addChannel()
    const member = addMember(tables, channel)
    const properties = { sessionExpiryInterval: 600 }
    const [contested, witness] = [randomUUID(), randomUUID()].map((clientId) => ({
      clientId,
      clean: false,
      properties,
    })) as [ConnectOptions, ConnectOptions]
    const first = await open(other, member, contested)
    await first.subscribe(topicOf(channel))
    await leave(first)
    // Who it is the process knows from here on, and has to ask about the channel alone.
    await open(still, member, witness)
    const asked = hold()
    const raw = new RawClient(still.port, 5)
    opened.push(raw)
    raw.send(connectPacket(5, member, contested))
    const release = await asked
    await endSessions(member, [contested.clientId ?? '', witness.clientId ?? ''])
    const taker = await open(other, member, contested)
    standStill(NODES.leaseMs * 2)
    // That one is written behind the one that was taken.
    await eventually(async () => expect(await endOf(member, witness.clientId ?? '')).toBe(0))
    release()
    await raw.closed()
    await taker.ping()
  })
})
