import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import type { Logger } from '../../platform/log.ts'
import type { TlsIdentity } from '../../platform/tls.ts'
import type { MqttAdapter } from './adapter.ts'
import { createTlsEntrance } from './tls-entrance.ts'
import type { TlsSettings } from './tls-entrance.ts'

export interface MqttListener {
  readonly port: number
  /**
   * Shows this certificate to those who connect from now on. Who is connected stays, unless it came in by a certificate
   * that does not hold any more. Nothing without TLS.
   */
  renew(identity: TlsIdentity): void
  /** Takes no more connections. Those that are open are the adapter's to end. */
  stop(): Promise<void>
}

/** Peers that vanished are found by the kernel, also those that asked for no keep alive. */
const TCP_KEEP_ALIVE_MS = 60_000

/**
 * Serves MQTT on a TCP port.
 *
 * @param options.port 0 takes a free one
 * @param options.tls  when given, every connection begins with a TLS handshake
 */
export async function listenMqtt(
  adapter: Pick<MqttAdapter, 'handle' | 'admit' | 'dismiss'>,
  { host, port, log, tls }: { host: string; port: number; log: Logger; tls?: TlsSettings },
): Promise<MqttListener> {
  const entrance = tls && createTlsEntrance(adapter, tls)
  const server = createServer({
    // Acknowledgements are small and waited for. What leaves in one tick is joined already.
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
  })
  server.on('connection', (socket: Socket) => {
    if (entrance) entrance.accept(socket)
    else adapter.handle(socket, { remoteAddress: socket.remoteAddress ?? '', transport: 'tcp' })
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
    renew: (identity) => entrance?.renew(identity),
    stop: () =>
      new Promise((resolve) => {
        // Calls back when the last connection has ended; the adapter's stop sees to that, so this must not wait for it.
        server.close()
        entrance?.stop()
        resolve()
      }),
  }
}
