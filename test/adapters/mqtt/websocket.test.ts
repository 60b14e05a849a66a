import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connectAsync } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAddressReader } from '../../../platform/http/client-address.ts'
import { WebSocket } from 'ws'
import { createMqttWebSocket } from '../../../adapters/mqtt/websocket.ts'
import type { MqttWebSocket } from '../../../adapters/mqtt/websocket.ts'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'
import {
  addMember,
  collect,
  connectPacket,
  encode,
  eventually,
  LIMITS,
  startMqttGateway,
  topicOf,
} from './support.ts'
import type { TestGateway } from './support.ts'

let testBus: TestBus
let gateway: TestGateway
let server: Server
let bridge: MqttWebSocket
let url: string
beforeAll(async () => {
  testBus = await startTestBus()
  gateway = await startMqttGateway(testBus.bus)
  bridge = createMqttWebSocket(gateway.adapter, { ...LIMITS, addressOf: createAddressReader([]) })
  server = createServer()
  server.on('upgrade', (request, socket, head) => {
    if (!bridge.handleUpgrade(request, socket, head)) socket.destroy()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/mqtt`
})
afterAll(async () => {
  await bridge.stop()
  await gateway.stop()
  server.close()
  await testBus.stop()
})

async function open(protocol: string[] = ['mqtt']): Promise<WebSocket> {
  const webSocket = new WebSocket(url, protocol)
  webSocket.on('error', () => undefined)
  await once(webSocket, 'open')
  return webSocket
}

describe('MQTT over WebSocket', () => {
  it.each([4, 5] as const)('carries messages both ways, protocol level %i', async (protocolVersion) => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const client = await connectAsync(url, {
      protocolVersion,
      username: member.id,
      password: member.secret,
      reconnectPeriod: 0,
    })
    const received = collect(client)
    await client.subscribeAsync(topicOf(channel, '#'), { qos: 2 })
    const payload = 'x'.repeat(40_000)
    for (const qos of [0, 1, 2] as const) await client.publishAsync(topicOf(channel, 'a'), payload, { qos })
    await eventually(() => expect(received.map(({ qos }) => qos)).toEqual([0, 1, 2]))
    expect(received.every((each) => each.payload === payload)).toBe(true)
    await client.endAsync()
  })

  it('takes packets in any cut of frames', async () => {
    const webSocket = await open()
    const bytes = encode(4, connectPacket(4, gateway.tables.addClient()), { cmd: 'pingreq' })
    const received: Buffer[] = []
    webSocket.on('message', (data: Buffer) => received.push(data))
    for (const byte of bytes) webSocket.send(Buffer.from([byte]))
    await eventually(() => expect(Buffer.concat(received).toString('hex')).toBe('20020000d000'))
    webSocket.close()
    await once(webSocket, 'close')
  })

  it('closes over a text frame', async () => {
    const webSocket = await open()
    webSocket.send('text')
    const [code] = (await once(webSocket, 'close')) as [number]
    expect(code).toBe(1003)
  })

  it.each([
    ['a sub-protocol that is not ours', ['soap']],
    ['no sub-protocol', []],
  ])('is not spoken with %s', async (_what, protocols) => {
    const webSocket = new WebSocket(url, protocols)
    webSocket.on('error', () => undefined)
    // `once` would reject over the error that comes first.
    await new Promise((resolve) => webSocket.on('close', resolve))
  })

  it('ends a stranger that sends more than a CONNECT', async () => {
    const webSocket = await open()
    const chunk = Buffer.alloc(8 * 1024)
    webSocket.send(Buffer.from([0x10]), { fin: false })
    for (let index = 0; index < 6; index += 1) webSocket.send(chunk, { fin: false })
    await once(webSocket, 'close')
  })

  it('leaves other paths to others', () => {
    const request = { url: '/other' } as Parameters<MqttWebSocket['handleUpgrade']>[0]
    expect(bridge.handleUpgrade(request, server as never, Buffer.alloc(0))).toBe(false)
  })
})
