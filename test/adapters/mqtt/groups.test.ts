import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createGroups } from '../../../adapters/mqtt/groups.ts'
import { createSessionRecords } from '../../../adapters/mqtt/session-records.ts'
import { createPublisher } from '../../../platform/bus/publisher.ts'
import { createRecords } from '../../../platform/bus/records.ts'
import { AuthorityTables } from '../../support/authority.ts'
import type { Channel, Client } from '../../support/authority.ts'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'
import { eventually, LIMITS, RawClient, startMqttGateway, topicOf } from './support.ts'
import type { TestGateway } from './support.ts'

const QUOTA_EXCEEDED = 0x97
const IDLE_NS = 10_000_000_000

let testBus: TestBus
let tables: AuthorityTables
let gateway: TestGateway
const opened: RawClient[] = []

beforeAll(async () => {
  testBus = await startTestBus()
  tables = new AuthorityTables()
  gateway = await startMqttGateway(await testBus.connect(), { tables, limits: { maxGroupsPerDomain: 4 } })
})
afterEach(() => {
  for (const raw of opened.splice(0)) raw.end()
})
afterAll(async () => {
  await gateway.stop()
  await testBus.stop()
})

/** A client of a domain of its own, and a channel it may use. */
function givenTenant(): { client: Client; channel: Channel } {
  const domainId = randomUUID()
  const channel = tables.addChannel({ domainId, domainRoute: domainId })
  const client = tables.addClient({ domainId })
  tables.allow(client, channel, 'subscribe')
  return { client, channel }
}

async function open(client: Client, clientId = randomUUID()): Promise<RawClient> {
  const raw = new RawClient(gateway.port, 5)
  opened.push(raw)
  await raw.connect(client, { clean: false, clientId, properties: { sessionExpiryInterval: 600 } })
  return raw
}

async function unsubscribe(raw: RawClient, filter: string): Promise<void> {
  raw.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: [filter] })
  await raw.next('unsuback')
}

describe('the groups of a domain', () => {
  it('are bounded, whoever makes them and leaves them, and take nothing from another domain', async () => {
    const { client, channel } = givenTenant()
    const raw = await open(client)
    const filters = Array.from({ length: 4 }, (_, index) => `$share/${index}/${topicOf(channel, 'x')}`)
    for (const filter of filters) {
      expect(await raw.subscribe(filter)).toEqual([1])
      await unsubscribe(raw, filter)
    }
    expect(await raw.subscribe(`$share/more/${topicOf(channel, 'x')}`)).toEqual([QUOTA_EXCEEDED])
    expect(await raw.subscribe(filters)).toEqual([1, 1, 1, 1])
    const other = givenTenant()
    const theirs = await open(other.client)
    // Two: one for the topic itself, one for what lies below it.
    expect(await theirs.subscribe(`$share/0/${topicOf(other.channel, '#')}`)).toEqual([1])
    expect(gateway.metrics.refused('mqtt', 'too_many_groups').value).toBe(1)
  })

  it('last without members only while a session that is kept may come back to them', async () => {
    const { client, channel } = givenTenant()
    const [stays, leaves] = [`$share/stays/${topicOf(channel)}`, `$share/leaves/${topicOf(channel)}`]
    const raw = await open(client)
    expect(await raw.subscribe([stays, leaves])).toEqual([1, 1])
    await unsubscribe(raw, leaves)
    raw.send({ cmd: 'disconnect' })
    await raw.closed()
    const manager = await testBus.bus.connection.jetstreamManager()
    const thresholds = async (): Promise<(number | undefined)[]> => {
      const consumers = await manager.consumers.list('messages').next()
      return consumers
        .filter(({ config }) => config.filter_subject?.includes(channel.id))
        .map(({ config }) => config.inactive_threshold)
        .sort((a = 0, b = 0) => a - b)
    }
    expect((await thresholds()).every((threshold = 0) => threshold > IDLE_NS)).toBe(true)
    const publisher = createPublisher(testBus.bus)
    const groups = createGroups({
      bus: testBus.bus,
      records: createSessionRecords(await createRecords(testBus.bus, publisher, 'sessions'), LIMITS),
      maxPerDomain: 2,
      roundMs: 20,
      restMs: 0,
    })
    const kept = await eventually(async () => {
      const [left, ...rest] = await thresholds()
      expect(left).toBe(IDLE_NS)
      return rest
    })
    expect(kept).toEqual([LIMITS.sessionExpiryS * 1e9])
    // What is on its way out leaves room for a new one.
    const consumer = { name: 'shared-x', filterSubject: '', deliverSubject: '' }
    await groups.admit(client.domainId, [consumer])
    await expect(groups.admit(client.domainId, [{ ...consumer, name: 'shared-y' }])).rejects.toThrow(
      'no room',
    )
    groups.stop()
    await publisher.stop()
  })
})
