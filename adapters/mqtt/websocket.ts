import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { createWebSocketStream, WebSocketServer } from 'ws'
import type { WebSocket } from 'ws'
import type { AddressReader } from '../../platform/http/client-address.ts'
import type { MqttAdapter } from './adapter.ts'

export interface MqttWebSocket {
  /** Takes upgrades of `/mqtt`. @returns whether this was one */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean
  stop(): Promise<void>
}

const PATH = '/mqtt'
/** [MQTT-6.0.0-3], and the name that clients of MQTT 3.1 use. */
const PROTOCOLS = ['mqtt', 'mqttv3.1']
/** What a stranger may send: its CONNECT, in whatever frames. ws keeps an unfinished frame whole. */
const MAX_STRANGER_BYTES = 32 * 1024
const UNSUPPORTED_DATA = 1003

/**
 * MQTT over WebSocket: packets in binary frames, in any cut [MQTT-6.0.0-2].
 *
 * @param options.maxPacketBytes a frame may hold one packet of this size
 */
export function createMqttWebSocket(
  adapter: Pick<MqttAdapter, 'handle'>,
  { maxPacketBytes, addressOf }: { maxPacketBytes: number; addressOf: AddressReader },
): MqttWebSocket {
  const server = new WebSocketServer({
    noServer: true,
    // Compressing small packets costs more memory per connection than all the rest of it.
    perMessageDeflate: false,
    maxPayload: maxPacketBytes + 1024,
    clientTracking: false,
    handleProtocols: (offered) => PROTOCOLS.find((name) => offered.has(name)) ?? false,
  })

  function serve(webSocket: WebSocket, request: IncomingMessage): void {
    if (webSocket.protocol === '') {
      webSocket.close(1002, 'sub-protocol mqtt is required') // [MQTT-6.0.0-3]
      return
    }
    const removeWatch = watchStranger(request.socket)
    // Ahead of the stream's own listener.
    webSocket.on('message', (_data, isBinary) => {
      if (!isBinary) webSocket.close(UNSUPPORTED_DATA, 'binary frames only') // [MQTT-6.0.0-1]
    })
    const stream = createWebSocketStream(webSocket)
    stream.on('close', removeWatch)
    adapter.handle(stream, {
      remoteAddress: addressOf(request),
      transport: 'ws',
      onAuthenticated: removeWatch,
    })
  }

  return {
    handleUpgrade(request, socket, head) {
      const path = (request.url ?? '').split('?', 1)[0]
      if (path !== PATH && path !== `${PATH}/`) return false
      server.handleUpgrade(request, socket, head, (webSocket) => serve(webSocket, request))
      return true
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
      }),
  }
}

/** Ends a socket that sends more than a CONNECT before it was accepted. @returns ends the watch */
function watchStranger(socket: Duplex): () => void {
  let bytes = 0
  const count = (chunk: Buffer): void => {
    bytes += chunk.length
    if (bytes > MAX_STRANGER_BYTES) socket.destroy()
  }
  socket.on('data', count)
  return () => {
    socket.off('data', count)
  }
}
