import type { MqttAdapter } from '../adapters/mqtt/adapter.ts'
import { listenMqtt } from '../adapters/mqtt/listen.ts'
import type { Config } from '../platform/config.ts'
import type { Lifecycle } from '../platform/lifecycle.ts'
import type { Logger } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { loadTls, TlsFileError } from '../platform/tls.ts'
import type { TlsFiles, TlsIdentity } from '../platform/tls.ts'
import { explainPort, StartError } from './start-error.ts'

export interface Secured {
  readonly port: number
  /** Reads the files again. What cannot be used leaves the old ones, and is logged. Never throws. */
  readonly reload: () => void
}

export interface SecuredParts {
  readonly config: Config
  readonly life: Lifecycle
  readonly log: Logger
  readonly metrics: Metrics
}

/**
 * Opens the port of MQTT over TLS.
 *
 * @returns `undefined` when there is no certificate
 * @throws {StartError} a file cannot be used, or the port not be opened
 */
export async function listenSecured(
  { config, life, log, metrics }: SecuredParts,
  mqtt: MqttAdapter,
): Promise<Secured | undefined> {
  const { host, mqttsPort: port, tlsCert, tlsKey, tlsCa, tlsCrl } = config
  if (tlsCert === undefined || tlsKey === undefined) return undefined
  const files: TlsFiles = { cert: tlsCert, key: tlsKey, ca: tlsCa, crl: tlsCrl }

  function load(): TlsIdentity {
    const identity = loadTls(files)
    const { expiresAt } = identity
    if (expiresAt.getTime() < Date.now())
      log.warn({ file: tlsCert, expiresAt }, 'the certificate has expired')
    return identity
  }

  let identity = loadAtStart(load)
  metrics.gauge('sluice_tls_certificate_expiry_timestamp_seconds', 'When the certificate ends', () =>
    Math.floor(identity.expiresAt.getTime() / 1_000),
  )
  const tls = {
    identity,
    clientAuth: tlsCa === undefined ? 'none' : config.tlsClientAuth,
    handshakeTimeoutMs: config.connectTimeoutS * 1_000,
  } as const
  const listener = await listenMqtt(mqtt, { host, port, log, tls }).catch((error: unknown) => {
    throw explainPort(error, port, 'SLUICE_MQTTS_PORT')
  })
  life.onStop('mqtt port with tls', () => listener.stop())

  return {
    port: listener.port,
    reload() {
      try {
        const fresh = load()
        listener.renew(fresh)
        identity = fresh
        log.info({ expiresAt: identity.expiresAt }, 'certificate read again')
      } catch (error) {
        log.error({ err: error }, `the old certificate stays: ${(error as Error).message}`)
      }
    },
  }
}

function loadAtStart(load: () => TlsIdentity): TlsIdentity {
  try {
    return load()
  } catch (error) {
    if (error instanceof TlsFileError) throw new StartError(error.message, { cause: error })
    throw error
  }
}
