import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectBus } from '../../../platform/bus/connect.ts'
import type { Bus } from '../../../platform/bus/connect.ts'
import { AuthorityTables } from '../../support/authority.ts'
import type { Channel, Client } from '../../support/authority.ts'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'
import { captureLog } from '../../support/log.ts'
import { startProxy } from '../../support/proxy.ts'
import type { Proxy } from '../../support/proxy.ts'
import { addMember, connectClient, eventually, RawClient, startMqttGateway, topicOf } from './support.ts'
import type { TestGateway } from './support.ts'

/** Two processes' adapters on one NATS server, the second of which can lose it. */
let testBus: TestBus
let proxy: Proxy
let bus: Bus
let tables: AuthorityTables
let steady: TestGateway
let shaky: TestGateway
let channel: Channel
let member: Client

beforeAll(async () => {
  testBus = await startTestBus()
  proxy = await startProxy(testBus.nats.url)
  bus = await connectBus({ servers: proxy.url, name: 'shaky', log: captureLog().log })
  tables = new AuthorityTables()
  steady = await startMqttGateway(testBus.bus, { tables })
  shaky = await startMqttGateway(bus, { tables })
  channel = tables.addChannel()
  member = addMember(tables, channel)
})
afterAll(async () => {
  await steady.stop()
  await shaky.stop()
  await bus.drain()
  await proxy.stop()
  await testBus.stop()
})

async function subscriber(version: 4 | 5, topic: string, qos: 0 | 1, clean = true): Promise<RawClient> {
  const raw = new RawClient(shaky.port, version)
  await raw.connect(member, { clientId: randomUUID(), clean })
  raw.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos }] })
  expect((await raw.next('suback')).granted).toEqual([qos])
  return raw
}

async function publish(topic: string, qos: 0 | 1): Promise<void> {
  const client = await connectClient(steady, member, { clientId: randomUUID() })
  await client.publishAsync(topic, 'missed', { qos })
  await client.endAsync()
}

async function isThere(raw: RawClient): Promise<boolean> {
  raw.send({ cmd: 'pingreq' })
  return (await raw.next('pingresp')).cmd === 'pingresp'
}

async function whileCut(act: () => Promise<void>): Promise<void> {
  proxy.cut()
  await eventually(() => expect(bus.isConnected).toBe(false))
  await act()
  proxy.restore()
  await eventually(() => expect(bus.isConnected).toBe(true))
}

describe('a process that was cut off from NATS', () => {
  it('ends the connections that missed an acknowledged message, tells them, and no others', async () => {
    const missed = topicOf(channel, 'missed')
    const filter = topicOf(channel, '+')
    const unheard = [await subscriber(5, missed, 1), await subscriber(5, filter, 1)]
    const unheardOld = await subscriber(4, missed, 1)
    const kept = [
      await subscriber(5, missed, 0),
      await subscriber(5, topicOf(channel, 'quiet'), 1),
      await subscriber(5, topicOf(channel, 'loose', '#'), 1),
    ]
    const durable = await subscriber(4, missed, 1, false)
    // With nothing missed nobody is ended.
    await whileCut(() => Promise.resolve())
    await whileCut(async () => {
      // At most once: it was promised to nobody.
      await publish(topicOf(channel, 'loose', 'a'), 0)
      await publish(missed, 1)
    })
    for (const raw of unheard) {
      expect(await raw.next('disconnect')).toMatchObject({
        reasonCode: 0x80,
        properties: { reasonString: 'messages may have been missed' },
      })
      await raw.closed()
    }
    await unheardOld.closed()
    expect((await durable.next('publish')).payload.toString()).toBe('missed')
    for (const raw of [...kept, durable]) expect(await isThere(raw)).toBe(true)
    expect(shaky.metrics.refused('mqtt', 'messages_missed').value).toBe(3)
    for (const raw of [...kept, durable]) raw.end()
  })
})
