import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { garbageCollector } from '../../support/garbage.ts'
import { useGateway, useWebSocketPort } from './support.ts'
import type { TestGateway } from './support.ts'

const MIB = 1_048_576
/** Bytes of a packet that nobody sends; as a remaining length, and as the length of a WebSocket frame. */
const ANNOUNCED = 100 * MIB
const REMAINING_LENGTH = [0x80, 0x80, 0x80, 0x32]
/** What really follows, in pieces. */
const SENT_PIECES = 16
const PIECE = Buffer.alloc(4_096)

let gateway: TestGateway
useGateway((started) => {
  gateway = started
})

const webSocketPort = useWebSocketPort(() => gateway)

/** Memory in use, once all garbage is collected. */
function usedBytes(): number {
  const collect = garbageCollector()
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** Announces a packet, sends a little of it, and waits until the gateway has had enough. */
async function announce(port: number, opening: Buffer): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.resume()
  await once(socket, 'connect')
  socket.write(opening)
  for (let sent = 0; sent < SENT_PIECES && socket.writable; sent += 1) {
    socket.write(PIECE)
    await new Promise((resolve) => setImmediate(resolve))
  }
  if (!socket.closed) await once(socket, 'close')
  return socket
}

/** A handshake, and a frame of binary data that begins with a CONNECT. */
const WEB_SOCKET_OPENING = Buffer.concat([
  Buffer.from(
    [
      'GET /mqtt HTTP/1.1',
      'Host: gateway',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
      'Sec-WebSocket-Protocol: mqtt',
      '\r\n',
    ].join('\r\n'),
  ),
  Buffer.from([0x82, 0xff, 0, 0, 0, 0]),
  Buffer.from([ANNOUNCED >>> 24, (ANNOUNCED >>> 16) & 0xff, (ANNOUNCED >>> 8) & 0xff, ANNOUNCED & 0xff]),
  Buffer.from([0, 0, 0, 0, 0x10, ...REMAINING_LENGTH]),
])

describe('four strangers who announce 100 MB each', () => {
  it.each([
    ['as CONNECT', () => gateway.port, Buffer.from([0x10, ...REMAINING_LENGTH])],
    ['as PUBLISH', () => gateway.port, Buffer.from([0x30, ...REMAINING_LENGTH])],
    ['as a frame of WebSocket', webSocketPort, WEB_SOCKET_OPENING],
  ])('%s cost less than 1 MB together', async (_what, port, opening) => {
    const strangers = () => Promise.all([0, 1, 2, 3].map(() => announce(port(), opening)))
    // Once before, so that what is loaded and compiled at the first time does not count.
    await strangers()
    const before = usedBytes()
    const sockets = await strangers()
    expect(sockets).toHaveLength(4)
    expect(usedBytes() - before).toBeLessThan(MIB)
  })
})
