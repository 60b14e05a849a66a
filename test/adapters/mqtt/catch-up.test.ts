import { randomUUID } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import type { Channel, Client } from '../../support/authority.ts'
import { connectClient, eventually, RawClient, topicOf, useGateway } from './support.ts'
import type { TestGateway } from './support.ts'

/** Sessions that read from the stream at a time. */
const READING = 32
/** Messages that wait in memory for one session: the rest is read as the client takes them. */
const WAITING = 256
const BACKLOG = 300
const IN_FLIGHT = 16

let gateway: TestGateway
useGateway((started) => (gateway = started), {
  limits: { maxQueuedMessages: 100_000, maxInflight: IN_FLIGHT, maxUnauthenticatedPerAddress: 500 },
  quota: { perClient: 500, perDomain: 500 },
})

const opened: RawClient[] = []
afterEach(() => {
  for (const raw of opened.splice(0)) raw.end()
})

interface Tenant {
  readonly member: Client
  readonly channel: Channel
}

function givenTenant(): Tenant {
  const domainId = randomUUID()
  const channel = gateway.tables.addChannel({ domainId, domainRoute: domainId })
  const member = gateway.tables.addClient({ domainId })
  gateway.tables.allow(member, channel, 'publish', 'subscribe')
  return { member, channel }
}

/** Connects to a session that is kept. */
async function open({ member }: Tenant, clientId: string): Promise<RawClient> {
  const raw = new RawClient(gateway.port, 5)
  opened.push(raw)
  await raw.connect(member, { clientId, clean: false, properties: { sessionExpiryInterval: 600 } })
  return raw
}

async function leave(raw: RawClient): Promise<void> {
  raw.send({ cmd: 'disconnect' })
  await raw.closed()
}

/** Subscribes in a session that is then left, so that what comes has to wait. */
async function subscribeAndLeave(tenant: Tenant, clientId: string, level: string, qos: 1 | 2): Promise<void> {
  const raw = await open(tenant, clientId)
  await raw.subscribe(topicOf(tenant.channel, level), { qos })
  await leave(raw)
}

/** Each is acknowledged when it resolves. */
async function publish(
  { member, channel }: Tenant,
  level: string,
  payloads: readonly string[],
  qos: 0 | 1 | 2 = 1,
): Promise<void> {
  const client = await connectClient(gateway, member, { clientId: randomUUID() })
  await Promise.all(payloads.map((payload) => client.publishAsync(topicOf(channel, level), payload, { qos })))
  await client.endAsync()
}

const numbered = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${name}${index + 1}`)

/** So many sessions have as much waiting as they take: they read the rest when their clients acknowledge. */
async function untilTheyStand(sessions = 1): Promise<void> {
  await eventually(async () => {
    const lines = await gateway.metrics.registry.getSingleMetricAsString('sluice_mqtt_queued_messages')
    const [, waiting] = /state="waiting"\} (\d+)/.exec(lines) ?? []
    expect(Number(waiting)).toBe(sessions * WAITING)
  })
}

/** Acknowledges everything up to a payload. @returns all payloads, in order */
async function takeUpTo(raw: RawClient, last: string): Promise<string[]> {
  const payloads: string[] = []
  while (payloads.at(-1) !== last) {
    const { qos, id, text } = await raw.message()
    payloads.push(text)
    if (qos === 1) raw.send({ cmd: 'puback', messageId: id })
    if (qos < 2) continue
    raw.send({ cmd: 'pubrec', messageId: id })
    await raw.next('pubrel')
    raw.send({ cmd: 'pubcomp', messageId: id })
  }
  return payloads
}

describe('a session that still reads what it missed', () => {
  it('gets what comes on a filter that it subscribes to meanwhile', async () => {
    const tenant = givenTenant()
    await subscribeAndLeave(tenant, 'device', 'x', 1)
    await publish(tenant, 'y', ['before'])
    await publish(tenant, 'x', numbered('x', BACKLOG))
    const raw = await open(tenant, 'device')
    await untilTheyStand()
    await raw.subscribe(topicOf(tenant.channel, 'y'))
    await publish(tenant, 'y', ['y1', 'y2'])
    expect(await takeUpTo(raw, 'y2')).toEqual([...numbered('x', BACKLOG), 'y1', 'y2'])
    await publish(tenant, 'x', ['next'])
    await publish(tenant, 'y', ['last'])
    expect(await takeUpTo(raw, 'last')).toEqual(['next', 'last'])
  })

  it('gets nothing twice when it unsubscribes and subscribes to the same filter again', async () => {
    const tenant = givenTenant()
    await subscribeAndLeave(tenant, 'device', 'x', 2)
    await publish(tenant, 'x', numbered('x', BACKLOG), 2)
    const raw = await open(tenant, 'device')
    await untilTheyStand()
    const filter = topicOf(tenant.channel, 'x')
    raw.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: [filter] })
    await raw.next('unsuback')
    await raw.subscribe(filter, { qos: 2 })
    await publish(tenant, 'x', ['new1', 'new2', 'new3'], 2)
    await takeUpTo(raw, 'new3')
    await publish(tenant, 'x', ['last'], 2)
    expect(await takeUpTo(raw, 'last')).toEqual(['last'])
  })
})

describe('sessions that wait for what will not come to them any more', () => {
  it('keep nobody from what was missed: not those of other tenants, whatever number they are', async () => {
    const tenant = givenTenant()
    const names = numbered('device', READING)
    for (const name of names) await subscribeAndLeave(tenant, name, 'x', 1)
    await publish(tenant, 'x', numbered('x', BACKLOG))
    const other = givenTenant()
    await subscribeAndLeave(other, 'other', 'z', 1)
    await publish(other, 'z', ['missed'])
    const sessions = await Promise.all(names.map((name) => open(tenant, name)))
    const y = topicOf(tenant.channel, 'y')
    await untilTheyStand(READING)
    for (const raw of sessions) await raw.subscribe(y)
    await publish(tenant, 'y', ['for nobody'])
    for (const raw of sessions) {
      raw.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: [y] })
      await raw.next('unsuback')
    }
    await Promise.all(sessions.map((raw) => takeUpTo(raw, `x${BACKLOG}`)))
    expect(await takeUpTo(await open(other, 'other'), 'missed')).toEqual(['missed'])
  })
})

describe('a tenant whose many sessions have much to read', () => {
  it('lets the session of another one read in between', async () => {
    const tenant = givenTenant()
    const names = numbered('device', READING + 8)
    for (const name of names) await subscribeAndLeave(tenant, name, 'x', 1)
    // Read and passed over: these are for those who were there.
    await publish(tenant, 'x', numbered('live', 8_000), 0)
    await publish(tenant, 'x', ['end'])
    const other = givenTenant()
    await subscribeAndLeave(other, 'other', 'z', 1)
    await publish(other, 'z', ['missed'])
    const order: string[] = []
    const read = async (raw: RawClient, last: string): Promise<void> => {
      await takeUpTo(raw, last)
      order.push(last)
    }
    const sessions = await Promise.all(names.map((name) => open(tenant, name)))
    const all = sessions.map((raw) => read(raw, 'end'))
    await Promise.all([...all, read(await open(other, 'other'), 'missed')])
    // With one turn for each, from beginning to end, those that wait for one would end before it.
    expect(order.indexOf('missed')).toBeLessThan(names.length - READING)
  })
})
