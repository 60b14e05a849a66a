import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'
import { addMember, collect, connectClient, startMqttGateway, topicOf } from './support.ts'
import type { TestGateway } from './support.ts'

describe.each([4, 5] as const)('messages over MQTT, protocol level %i', (protocolVersion) => {
  let testBus: TestBus
  let gateway: TestGateway
  beforeAll(async () => {
    testBus = await startTestBus()
    gateway = await startMqttGateway(testBus.bus)
  })
  afterAll(async () => {
    await gateway.stop()
    await testBus.stop()
  })

  it.each([0, 1, 2] as const)('reach a subscriber once and untouched, QoS %i', async (qos) => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const client = await connectClient(gateway, member, { protocolVersion, clientId: randomUUID() })
    const received = collect(client)
    await client.subscribeAsync(topicOf(channel, '#'), { qos: 2 })
    await client.publishAsync(topicOf(channel, 'floor1', 'temp'), 'payload', { qos })
    await vi.waitFor(() => expect(received).toHaveLength(1))
    expect(received[0]).toEqual({
      topic: topicOf(channel, 'floor1', 'temp'),
      payload: 'payload',
      qos,
      retain: false,
    })
    await client.endAsync()
  })
})
