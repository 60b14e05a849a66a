import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { connectAsync } from 'mqtt'
import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { createAddressReader } from '../../../platform/http/client-address.ts'
import { createMqttWebSocket } from '../../../adapters/mqtt/websocket.ts'
import {
  addMember,
  collect,
  connectPacket,
  encode,
  eventually,
  LIMITS,
  topicOf,
  useGateway,
  useWebSocketPort,
} from './support.ts'
import type { TestGateway } from './support.ts'

let gateway: TestGateway
useGateway((started) => {
  gateway = started
})
const port = useWebSocketPort(() => gateway)
const url = () => `ws://127.0.0.1:${port()}/mqtt`

async function open(protocol: string[] = ['mqtt']): Promise<WebSocket> {
  const webSocket = new WebSocket(url(), protocol)
  webSocket.on('error', () => undefined)
  await once(webSocket, 'open')
  return webSocket
}

describe('MQTT over WebSocket', () => {
  it.each([4, 5] as const)('carries messages both ways, protocol level %i', async (protocolVersion) => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const client = await connectAsync(url(), {
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
    const webSocket = new WebSocket(url(), protocols)
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

  it('leaves other paths to others', async () => {
    const webSocket = new WebSocket(`${url()}x`, ['mqtt'])
    webSocket.on('error', () => undefined)
    await new Promise((resolve) => webSocket.on('close', resolve))
    const bridge = createMqttWebSocket(gateway.adapter, { ...LIMITS, addressOf: createAddressReader([]) })
    const request = { url: '/other' } as Parameters<typeof bridge.handleUpgrade>[0]
    expect(bridge.handleUpgrade(request, new PassThrough(), Buffer.alloc(0))).toBe(false)
    await bridge.stop()
  })
})
