import type { Duplex } from 'node:stream'
import type { Logger } from '../../platform/log.ts'
import type { ChannelFeed } from '../../platform/bus/subscriptions.ts'
import type { Metrics } from '../../platform/metrics.ts'
import { createRate } from '../../platform/rate.ts'
import type { Authority } from '../authority.ts'
import type { Publish } from '../publish.ts'
import type { ConnectionQuota } from '../quota.ts'
import type { MessageRate } from '../rates.ts'
import { createRefusals } from '../refusals.ts'
import { NotStoredYet } from '../stored.ts'
import type { Traffic } from '../traffic.ts'
import { createAdmission } from './admission.ts'
import { createAedesBroker, listenForErrors } from './aedes-broker.ts'
import { TAKEN_OVER } from './claims.ts'
import { Reason } from './codes.ts'
import { watchCertificates } from './certificate-watch.ts'
import { Connection } from './connection.ts'
import { liveFeed } from './feeds.ts'
import type { ConnectionInfo, Peer } from './peer.ts'
import { showConnections, showHoldings } from './gauges.ts'
import type { Host, MqttLimits } from './host.ts'
import type { CheckPayload } from './inbound.ts'
import { createRetainedStore } from './retained-store.ts'
import { watchAuthority } from './revocation.ts'
import { createRoutes } from './routes.ts'
import { holderOf } from './session-record.ts'
import type { Session } from './sessions.ts'
import { createCluster } from './cluster.ts'
import type { ClusterOptions } from './cluster.ts'

export interface MqttAdapterOptions {
  readonly authority: Authority
  readonly publish: Publish
  readonly feed: ChannelFeed
  /** What the sessions of all processes stand on. */
  readonly cluster: Pick<ClusterOptions, 'bus' | 'publisher' | 'nodes'>
  /** Asked about payloads of MQTT 5 clients that say they are SenML (contract D31). */
  readonly checkPayload?: CheckPayload
  readonly quota: ConnectionQuota
  /** The rate of messages of a listener, where one is set. */
  readonly rates?: ((listener: string) => MessageRate) | undefined
  readonly log: Logger
  readonly metrics: Metrics
  readonly traffic: Traffic
  readonly limits: MqttLimits
}

export interface MqttAdapter {
  /**
   * Counts a connection in that has something to do before it speaks MQTT; then it costs what others do.
   *
   * @returns whether there is room; if so, {@link handle} or {@link dismiss} must follow
   */
  admit(info: ConnectionInfo): boolean
  /** Counts it out again. @param reason why it was refused, if it was; one of a closed set */
  dismiss(info: ConnectionInfo, reason?: string, detail?: string): void
  /** Serves MQTT on a stream: a socket, or the bytes of a WebSocket's frames. Owns it from then on. */
  handle(stream: Duplex, info: ConnectionInfo): void
  /** Ends all connections (MQTT 5: 0x8B, server shutting down), sends their wills, and leaves their sessions to others. */
  stop(): Promise<void>
}

export async function createMqttAdapter(options: MqttAdapterOptions): Promise<MqttAdapter> {
  const { authority, feed, log, metrics, limits } = options
  const refusals = createRefusals({ protocol: 'mqtt', log, metrics })
  const received = metrics.received('mqtt')
  const open = metrics.connections('mqtt')
  const admission = createAdmission(limits)
  const connectRate = limits.maxConnectsPerS === undefined ? undefined : createRate(limits.maxConnectsPerS)
  const onDelivered = metrics.delivery('mqtt')
  const liveRoutes = createRoutes(liveFeed(feed), log, onDelivered, (session) => {
    const connection = connectionOf(session)
    if (!connection || connection.isClosed) return
    refusals.note('messages_missed', { code: Reason.unspecified, ...connection.facts })
    // A session that ends owes nothing any more; one that goes on in silence would.
    connection.close(Reason.unspecified, 'messages may have been missed')
  })
  const { bus, publisher } = options.cluster
  const retained = await createRetainedStore(bus, publisher, {
    onEvict: ({ domainId, channelId }) => refusals.note('retained_evicted', { domainId, channelId }),
  })
  const publish: Publish = (message, done) => {
    if (!message.retain) return options.publish(message, done)
    // One after the other: what is acknowledged is both on its way and kept.
    options.publish(message, (error) => {
      if (error && !(error instanceof NotStoredYet)) return done(error)
      retained.store(message, (failure) => done(failure ?? error))
    })
  }
  const all = new Set<Peer>()
  const byKey = new Map<string, Peer>()

  /** The one that has this very session: the name may be another's by now, whose session is one of its own. */
  function connectionOf(session: Session): Peer | undefined {
    const connection = byKey.get(session.key)
    return connection?.session === session ? connection : undefined
  }

  function endForAnother(connection: Peer): void {
    if (connection.isClosed) return
    refusals.note('session_taken_over', { code: Reason.sessionTakenOver, ...connection.facts })
    connection.close(Reason.sessionTakenOver, TAKEN_OVER)
  }

  const letGo = async (key: string): Promise<void> => {
    const connection = byKey.get(key)
    if (!connection) return
    endForAnother(connection)
    await connection.closed
  }

  const onStored = (): void => {
    received.value += 1
  }

  const cluster = await createCluster({
    ...options.cluster,
    authority,
    publish,
    log,
    refusals,
    liveRoutes,
    onDelivered,
    retained,
    outbox: { ...limits, delivered: metrics.delivered('mqtt') },
    sessionExpiryS: limits.sessionExpiryS,
    bounds: limits,
    maxGroupsPerDomain: limits.maxGroupsPerDomain,
    onStored,
    letGo,
    onUnwritable(session, error) {
      refusals.noteError(error, { clientId: session.principal.id })
      connectionOf(session)?.close(Reason.quotaExceeded, error.message)
    },
    onTaken(session) {
      const connection = connectionOf(session)
      if (connection) endForAnother(connection)
    },
  })

  const { sessions } = cluster
  const connects = showConnections(metrics, all)
  showHoldings(metrics, sessions, retained)

  const broker = await createAedesBroker((key) => byKey.get(key)?.isSessionPresent ?? false, {
    maximumPacketSize: limits.maxPacketBytes,
    receiveMaximum: limits.receiveMaximum,
    sessionExpiryIntervalLimit: limits.sessionExpiryS,
    pendingSessionsLimit: limits.maxConnections,
  })
  listenForErrors(broker, (error) => log.error({ err: error }, 'MQTT broker failed'))

  const host: Host = {
    authority,
    publish,
    checkPayload: options.checkPayload ?? (() => undefined),
    rates: options.rates,
    log,
    limits,
    broker,
    sessions,
    subscriptions: cluster.subscriptions,
    lastPlace: () => cluster.lastPlace(),
    retained,
    lookBack: cluster.lookBack,
    refusals,
    traffic: options.traffic,
    admitConnect({ transport, remoteAddress }) {
      if (!connectRate) return true
      if (connectRate.waitMs(transport) > 0) {
        refusals.note('connect_rate', { code: Reason.connectionRateExceeded, address: remoteAddress })
        return false
      }
      connectRate.take(transport)
      return true
    },
    async claim(connection, key) {
      const previous = byKey.get(key)
      options.quota.enter(holderOf(key), { isReplacing: previous !== undefined })
      connection.sessionKey = key
      byKey.set(key, connection)
      if (!previous) return
      endForAnother(previous)
      // Its session is written and its will sent before the new connection goes on.
      await previous.closed
    },
    onAuthenticated: (connection) => admission.onAuthenticated(connection.info.remoteAddress),
    onOpen(connection) {
      open.value += 1
      connects[connection.info.transport].value += 1
      // A change between our questions and here found no session to look at.
      if (connection.session) revocation.recheck(connection.session)
    },
    onClosed(connection, { wasOpen, wasAuthenticated }) {
      all.delete(connection)
      const { sessionKey } = connection
      if (sessionKey !== undefined) {
        options.quota.leave(holderOf(sessionKey))
        if (byKey.get(sessionKey) === connection) byKey.delete(sessionKey)
      }
      admission.onClosed(connection.info.remoteAddress, wasAuthenticated)
      if (wasOpen) open.value -= 1
    },
    onStored,
    onLost: (error) => refusals.noteError(error),
  }

  const revocation = watchAuthority({
    authority,
    log,
    refusals,
    sessions: () => sessions.all(),
    lastPlace: () => cluster.lastPlace(),
    onChecked: (session) => cluster.refresh(session),
    connectionOf: (session) => byKey.get(session.key),
  })

  const certificates = watchCertificates(all, { log, refusals })

  let isStopping = false

  function admit({ remoteAddress }: ConnectionInfo): boolean {
    const refusal = isStopping ? 'stopping' : admission.admit(remoteAddress)
    if (refusal) refusals.note(refusal, { code: Reason.serverBusy, address: remoteAddress })
    return !refusal
  }

  return {
    admit(info) {
      // Before the handshake, of which the server has most of the work.
      if (!host.admitConnect(info)) return false
      return admit(info)
    },
    dismiss({ remoteAddress }, reason, detail) {
      admission.onClosed(remoteAddress, false)
      if (reason !== undefined) refusals.note(reason, { address: remoteAddress, detail })
    },
    handle(stream, info) {
      if (info.isAdmitted || admit(info)) return void all.add(new Connection(host, stream, info))
      stream.on('error', () => undefined)
      stream.destroy()
    },
    async stop() {
      isStopping = true
      const ending = [...all].map(async (connection) => {
        connection.close(Reason.serverShuttingDown)
        await connection.closed
        await connection.settled()
      })
      await Promise.all(ending)
      certificates.stop()
      revocation.stop()
      await cluster.stop()
      await retained.stop()
      liveRoutes.stop()
      await new Promise<void>((resolve) => broker.close(resolve))
    },
  }
}
