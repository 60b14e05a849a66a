import { connect, Events } from 'nats'
import type { NatsConnection, Status } from 'nats'
import { Unavailable } from '../errors.ts'
import type { Logger } from '../log.ts'
import { parseServers } from './servers.ts'

/** The process's one connection to NATS. */
export interface Bus {
  /** Where everything that stands on the bus reports. */
  readonly log: Logger
  /** For JetStream consumers and the like. Callbacks given to it must not throw: nats.js would drop the connection. */
  readonly connection: NatsConnection
  /**
   * While this is `false` nothing should be published: nats.js keeps what it is given in memory without bound, and throws
   * it away at the next attempt to connect.
   */
  readonly isConnected: boolean
  /** The largest message the server takes, headers counted. */
  readonly maxPayloadBytes: number
  /**
   * Resolves when the server has processed all that was sent before; a subscription is in force from there on. Calls in
   * one turn of the event loop share one round trip.
   *
   * @throws {Unavailable} the connection was lost first
   */
  flush(): Promise<void>
  /** Messages and announcements may have been missed when this is called: caches are to be cleared. Returns the removal. */
  onReconnect(listener: () => void): () => void
  /** Answers on their way are lost when this is called. Returns the removal. */
  onDisconnect(listener: () => void): () => void
  /** Finishes what was accepted, then closes; at once when disconnected. Never rejects. */
  drain(): Promise<void>
}

const DRAIN_TIMEOUT_MS = 5_000

/**
 * Connects to NATS and stays connected: after the first time it tries for ever, also past refused credentials, since those
 * are rotated while processes run.
 *
 * @param options.servers comma list of NATS URLs, credentials allowed; they reach no log line
 * @param options.name what `nats server report connections` shows
 * @throws {InvalidInput} the list cannot be read
 * @throws {Unavailable} no server of the list answers, or none accepts the credentials
 */
export async function connectBus({
  servers,
  name,
  log,
}: {
  servers: string
  name: string
  log: Logger
}): Promise<Bus> {
  const { addresses, user, pass, token, isTls } = parseServers(servers)
  let connection: NatsConnection
  try {
    connection = await connect({
      servers: [...addresses],
      name,
      ...(user === undefined ? {} : { user }),
      ...(pass === undefined ? {} : { pass }),
      ...(token === undefined ? {} : { token }),
      ...(isTls ? { tls: {} } : {}),
      maxReconnectAttempts: -1,
      ignoreAuthErrorAbort: true,
      reconnectTimeWait: 250,
      reconnectJitter: 250,
      // A half-open connection is found in 20 to 30 seconds, not in the default's four to six minutes.
      pingInterval: 10_000,
      maxPingOut: 2,
      // A stack for each request costs more than the request.
      noAsyncTraces: true,
    })
  } catch (error) {
    throw new Unavailable(`no connection to NATS at ${addresses.join(', ')}: ${(error as Error).message}`, {
      cause: error,
    })
  }

  let isConnected = true
  let isDraining = false
  let flushing: Promise<void> | undefined
  const onReconnect = new Set<() => void>()
  const onDisconnect = new Set<() => void>()

  function tell(listeners: ReadonlySet<() => void>): void {
    for (const listener of listeners) {
      try {
        listener()
      } catch (error) {
        log.error({ err: error }, 'listener of the bus failed')
      }
    }
  }

  function onStatus({ type, data }: Status): void {
    if (type === Events.Disconnect) {
      // nats.js reports each failed attempt as well; one line is enough.
      if (isConnected && !isDraining) log.warn({ server: data }, 'bus disconnected')
      isConnected = false
      tell(onDisconnect)
    } else if (type === Events.Reconnect) {
      isConnected = true
      log.info({ server: data }, 'bus reconnected')
      tell(onReconnect)
    } else if (type === Events.Error) {
      log.warn({ code: data }, 'bus reports an error')
    }
  }

  async function watch(): Promise<void> {
    for await (const status of connection.status()) onStatus(status)
    isConnected = false
    tell(onDisconnect)
    if (!isDraining) log.error('bus connection closed for good')
  }
  watch().catch((error: unknown) => log.error({ err: error }, 'bus status ended'))

  async function flushNow(): Promise<void> {
    // In a microtask of its own, so that everybody who asks in this turn goes along.
    await Promise.resolve()
    flushing = undefined
    if (!isConnected) throw new Unavailable('the bus is disconnected')
    try {
      await connection.flush()
    } catch (error) {
      throw new Unavailable('the bus was disconnected', { cause: error })
    }
  }

  async function drain(): Promise<void> {
    if (isDraining) return
    isDraining = true
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, DRAIN_TIMEOUT_MS)
    })
    try {
      // Draining waits for an answer of the server, which does not come while there is none.
      if (isConnected) await Promise.race([connection.drain(), late])
      await connection.close()
    } catch (error) {
      log.warn({ err: error }, 'bus did not drain')
    } finally {
      clearTimeout(timer)
    }
  }

  function add(listeners: Set<() => void>, listener: () => void): () => void {
    listeners.add(listener)
    return () => {
      listeners.delete(listener)
    }
  }

  return {
    log,
    connection,
    get isConnected() {
      return isConnected && !isDraining
    },
    get maxPayloadBytes() {
      return connection.info?.max_payload ?? 1_048_576
    },
    flush() {
      flushing ??= flushNow()
      return flushing
    },
    onReconnect: (listener) => add(onReconnect, listener),
    onDisconnect: (listener) => add(onDisconnect, listener),
    drain,
  }
}
