import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import type { Logger } from '../../platform/log.ts'
import type { MqttAdapter } from './adapter.ts'

export interface MqttListener {
  readonly port: number
  /** Takes no more connections. Those that are open are the adapter's to end. */
  stop(): Promise<void>
}

/** Peers that vanished are found by the kernel, also those that asked for no keep alive. */
const TCP_KEEP_ALIVE_MS = 60_000

/** Serves MQTT on a TCP port. @param options.port 0 takes a free one */
export async function listenMqtt(
  adapter: Pick<MqttAdapter, 'handle'>,
  { host, port, log }: { host: string; port: number; log: Logger },
): Promise<MqttListener> {
  const server = createServer({
    // Acknowledgements are small and waited for. What leaves in one tick is joined already.
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
  })
  server.on('connection', (socket: Socket) => {
    adapter.handle(socket, { remoteAddress: socket.remoteAddress ?? '', transport: 'tcp' })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      // Out of file descriptors, say: one connection fails, the listener goes on.
      server.on('error', (error) => log.error({ err: error }, 'MQTT listener failed'))
      resolve()
    })
  })
  return {
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise((resolve) => {
        // Calls back when the last connection has ended; the adapter's stop sees to that, so this must not wait for it.
        server.close()
        resolve()
      }),
  }
}
