import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { decodeRecord, recordKey } from '../../../adapters/mqtt/session-record.ts'
import type { SessionRecord } from '../../../adapters/mqtt/session-record.ts'
import type { Bus } from '../../../platform/bus/connect.ts'
import { findLastStored } from '../../../platform/bus/stored.ts'
import { Unavailable } from '../../../platform/errors.ts'
import { AuthorityTables } from '../../support/authority.ts'
import type { Channel, Client } from '../../support/authority.ts'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'
import type { PacketOf } from '../../support/mqtt-packets.ts'
import { acknowledge, cut, leave } from './persistence/support.ts'
import type { Heard } from './persistence/support.ts'
import {
  addMember,
  connectPacket,
  eventually,
  PUBLISH,
  RawClient,
  startMqttGateway,
  topicOf,
} from './support.ts'
import type { TestGateway } from './support.ts'

/** Two processes' adapters on one NATS server, with an authority each, so that one can be without answers. */
let testBus: TestBus
let steady: TestGateway
let shaky: TestGateway
const steadyTables = new AuthorityTables()
const shakyTables = new AuthorityTables()
const opened: RawClient[] = []
/** Lets the answers come that a test has held back. */
let openHeld = (): void => undefined

beforeAll(async () => {
  testBus = await startTestBus()
  steady = await startMqttGateway(await testBus.connect(), { tables: steadyTables })
})
afterEach(async () => {
  openHeld()
  for (const raw of opened.splice(0)) raw.end()
  shakyTables.gate = () => Promise.resolve()
  await shaky.stop()
})
afterAll(async () => {
  await steady.stop()
  await testBus.stop()
})

type ConnectOptions = Partial<PacketOf<'connect'>>

const KEPT: ConnectOptions = { clean: false, properties: { sessionExpiryInterval: 600 } }
const UNAVAILABLE = 0x88
/** An answer of the authority that comes when the process is ending already. */
const LATE_MS = 200

function connection(gateway: TestGateway): RawClient {
  const raw = new RawClient(gateway.port, 5)
  opened.push(raw)
  return raw
}

interface Given {
  readonly member: Client
  readonly clientId: string
  /** Of two channels: at the first, a process may already be through when it is asked about the second. */
  readonly topics: readonly [string, string]
  readonly sent: readonly Heard[]
}

/** A session of the steady process with a filter on each of two channels, and messages in flight. Its client has left. */
async function givenSession(dying?: {
  readonly channel: Channel
  readonly will: PacketOf<'connect'>['will']
}): Promise<Given> {
  // Nothing is remembered of what was asked before.
  shaky = await startMqttGateway(await testBus.connect(), { tables: shakyTables })
  const channels: [Channel, Channel] = [steadyTables.addChannel(), steadyTables.addChannel()]
  const member = addMember(steadyTables, ...channels)
  shakyTables.channels.push(...channels)
  shakyTables.clients.push(member)
  for (const channel of channels) shakyTables.allow(member, channel, 'publish', 'subscribe')
  if (dying) {
    shakyTables.channels.push(dying.channel)
    for (const tables of [steadyTables, shakyTables]) tables.allow(member, dying.channel, 'publish')
  }
  const topics: [string, string] = [topicOf(channels[0], 'x'), topicOf(channels[1], 'y')]
  const clientId = randomUUID()
  const raw = connection(steady)
  await raw.connect(member, { ...KEPT, clientId, ...(dying ? { will: dying.will } : {}) })
  await raw.subscribe(topics, { qos: 2 })
  await publish(member, topics[0], '1', 1)
  await publish(member, topics[1], '2', 2)
  const sent = [await raw.message(), await raw.message()]
  await (dying ? cut(raw) : leave(raw))
  return { member, clientId, topics, sent }
}

async function publish(member: Client, topic: string, payload: string, qos: 1 | 2 = 1): Promise<void> {
  const raw = connection(steady)
  await raw.connect(member, { clientId: randomUUID() })
  raw.send({ ...PUBLISH, topic, payload, qos })
  if (qos === 1) await raw.next('puback')
  else {
    await raw.next('pubrec')
    raw.send({ cmd: 'pubrel', messageId: 1 })
    await raw.next('pubcomp')
  }
  await leave(raw)
}

/** Questions ahead of the one about the second channel: who it is, and about the first channel. */
const QUESTIONS_BEFORE = 2
/** Which channel its topic names, and whether the client may publish there. */
const QUESTIONS_OF_WILL = 2

/** From here on, what the shaky process asks about the second channel meets this. */
function atSecondChannel(act: () => Promise<void>, before = QUESTIONS_BEFORE): void {
  const until = shakyTables.asked + before
  shakyTables.gate = () => (shakyTables.asked > until ? act() : Promise.resolve())
}

const noAnswer = (): Promise<never> => Promise.reject(new Unavailable('no answer in time'))

/** Holds the answer about the second channel back. @returns `reached` when it was asked for, and what lets it come */
function holdSecondChannel(): { reached: () => boolean; open: () => void } {
  let isReached = false
  let open = (): void => undefined
  const opening = new Promise<void>((resolve) => {
    open = resolve
  })
  openHeld = open
  atSecondChannel(() => {
    isReached = true
    return opening
  })
  return { reached: () => isReached, open }
}

/** Comes back, and has all that it had: both subscriptions, what was in flight, and what came since. */
async function expectWhole(gateway: TestGateway, { member, clientId, topics, sent }: Given): Promise<void> {
  await publish(member, topics[0], '3')
  await publish(member, topics[1], '4')
  const raw = connection(gateway)
  expect((await raw.connect(member, { ...KEPT, clientId })).sessionPresent).toBe(true)
  const heard: Heard[] = []
  for (let count = 0; count < 4; count += 1) {
    const message = await raw.message()
    heard.push(message)
    await acknowledge(raw, message)
  }
  expect(heard.slice(0, 2).map(({ text, id, dup }) => ({ text, id, dup }))).toEqual(
    sent.map(({ text, id }) => ({ text, id, dup: true })),
  )
  expect(
    heard
      .slice(2)
      .map(({ text }) => text)
      .sort(),
  ).toEqual(['3', '4'])
  // Counted on from where it was.
  expect(heard.slice(2).map(({ id }) => id)).toEqual(sent.map(({ id }) => id + 2))
  raw.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: [...topics] })
  expect((await raw.next('unsuback')).granted).toEqual([0, 0])
  await leave(raw)
}

async function recordOf({ member, clientId }: Given): Promise<SessionRecord | undefined> {
  const manager = await testBus.bus.connection.jetstreamManager()
  const found = await findLastStored(
    manager,
    'sessions',
    `sessions.${recordKey({ kind: 'client', ...member }, clientId)}`,
  )
  return found && decodeRecord(found.data)
}

async function reconnect(bus: Bus): Promise<void> {
  const done = new Promise<void>((resolve) => {
    const remove = bus.onReconnect(() => {
      remove()
      resolve()
    })
  })
  await bus.connection.reconnect()
  await done
}

describe('a session that could not be taken up wholly', () => {
  it('because the authority does not answer is whole when its client comes again, here or elsewhere', async () => {
    for (const next of ['shaky', 'steady'] as const) {
      const given = await givenSession()
      atSecondChannel(noAnswer)
      const raw = connection(shaky)
      const connack = await raw.connect(given.member, { ...KEPT, clientId: given.clientId })
      expect(connack.reasonCode).toBe(UNAVAILABLE)
      shakyTables.gate = () => Promise.resolve()
      await expectWhole(next === 'shaky' ? shaky : steady, given)
      if (next === 'shaky') await shaky.stop()
    }
  })

  it('lasts as long as before, also when its client wanted it to end with that connection', async () => {
    const given = await givenSession()
    atSecondChannel(noAnswer)
    const { member, clientId } = given
    expect((await connection(shaky).connect(member, { clean: false, clientId })).reasonCode).toBe(UNAVAILABLE)
    await expectWhole(steady, given)
  })

  it('still owes the will of the connection before, and not that of the one that was refused', async () => {
    const witness = connection(steady)
    const channel = steadyTables.addChannel()
    const will = (payload: string) => ({
      topic: topicOf(channel),
      payload: Buffer.from(payload),
      qos: 1 as const,
      retain: false,
      properties: { willDelayInterval: 1 },
    })
    await witness.connect(addMember(steadyTables, channel))
    await witness.subscribe(topicOf(channel))
    const given = await givenSession({ channel, will: will('gone') })
    const { member, clientId } = given
    atSecondChannel(noAnswer, QUESTIONS_BEFORE + QUESTIONS_OF_WILL)
    const { reasonCode } = await connection(shaky).connect(member, {
      ...KEPT,
      clientId,
      will: will('refused'),
    })
    expect(reasonCode).toBe(UNAVAILABLE)
    shakyTables.gate = () => Promise.resolve()
    expect((await witness.message()).text).toBe('gone')
    await expectWhole(steady, given)
    await witness.ping()
    expect(witness.packets).toEqual([])
  })

  it('because its client is gone again is whole', async () => {
    const given = await givenSession()
    const { member, clientId } = given
    const { reached, open } = holdSecondChannel()
    const raw = connection(shaky)
    raw.send(connectPacket(5, member, { clean: false, clientId }))
    await eventually(() => expect(reached()).toBe(true))
    await cut(raw)
    open()
    await expectWhole(steady, given)
  })

  it('because the process ends is written before that is over', async () => {
    const given = await givenSession()
    const { member, clientId } = given
    const { reached, open } = holdSecondChannel()
    connection(shaky).send(connectPacket(5, member, { ...KEPT, clientId }))
    await eventually(() => expect(reached()).toBe(true))
    setTimeout(open, LATE_MS)
    await shaky.adapter.stop()
    const onFile = await recordOf(given)
    expect(onFile?.node).toBe('')
    expect(onFile?.endsAt).toBeGreaterThan(Date.now())
    await expectWhole(steady, given)
  })

  it('does not end the connection that has it now when it is found to be lost', async () => {
    const given = await givenSession()
    const { member, clientId, sent } = given
    const { reached, open } = holdSecondChannel()
    const superseded = connection(shaky)
    superseded.send(connectPacket(5, member, { ...KEPT, clientId }))
    await eventually(() => expect(reached()).toBe(true))
    shakyTables.gate = () => Promise.resolve()
    // All sessions are to be written once more, within a second.
    await reconnect(shaky.bus)
    const raw = connection(shaky)
    expect(await raw.connect(member, { ...KEPT, clientId })).toMatchObject({
      reasonCode: 0,
      sessionPresent: true,
    })
    expect((await superseded.next('connack')).reasonCode).toBe(0x80)
    const [first] = sent
    raw.send({ cmd: 'puback', messageId: first?.id ?? 0 })
    // Written behind the one that it has superseded.
    await eventually(async () => expect((await recordOf(given))?.inFlight).toHaveLength(1))
    await raw.ping()
    open()
    await leave(raw)
  })
})
