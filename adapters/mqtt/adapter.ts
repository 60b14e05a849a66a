import type { Duplex } from 'node:stream'
import type { Logger } from '../../platform/log.ts'
import type { ChannelFeed } from '../../platform/bus/subscriptions.ts'
import type { Authority } from '../authority.ts'
import type { Publish } from '../publish.ts'
import { createAdmission } from './admission.ts'
import { createAedesBroker } from './aedes-broker.ts'
import type { AedesClient } from './aedes-broker.ts'
import { Reason } from './codes.ts'
import { Connection } from './connection.ts'
import type { ConnectionInfo } from './connection.ts'
import { reasonWord } from './failures.ts'
import type { Host, MqttLimits } from './host.ts'
import { createRefusals } from './refusals.ts'
import type { MqttMetrics } from './refusals.ts'
import { createRetained } from './retained.ts'
import { watchAuthority } from './revocation.ts'
import { createRoutes } from './routes.ts'
import { createSessions } from './sessions.ts'

export interface MqttAdapterOptions {
  readonly authority: Authority
  readonly publish: Publish
  readonly feed: ChannelFeed
  readonly log: Logger
  readonly metrics: MqttMetrics
  readonly limits: MqttLimits
}

export interface MqttAdapter {
  /** Serves MQTT on a stream: a socket, or the bytes of a WebSocket's frames. Owns it from then on. */
  handle(stream: Duplex, info: ConnectionInfo): void
  /** Ends all connections (MQTT 5: 0x8B, server shutting down), sends their wills, and forgets all sessions. */
  stop(): Promise<void>
}

export async function createMqttAdapter(options: MqttAdapterOptions): Promise<MqttAdapter> {
  const { authority, publish, feed, log, metrics, limits } = options
  const refuse = createRefusals(log, metrics)
  const admission = createAdmission(limits)
  const routes = createRoutes(feed, log)
  const retained = createRetained()
  const all = new Set<Connection>()
  const bySession = new Map<string, Connection>()
  const connectionOf = new WeakMap<object, Connection>()

  const sessions = createSessions({
    limits,
    maxKept: limits.maxConnections,
    onDrop: (_session, reason) => metrics.dropped(reason),
    onEnd(session) {
      for (const filter of session.subscriptions.keys()) routes.remove(session, filter)
    },
  })

  const known = (client: AedesClient): Connection | undefined => connectionOf.get(client.conn)

  const broker = await createAedesBroker(
    {
      sessionId: (client) => known(client)?.session?.id ?? '',
      accepted: (client) => known(client)?.onAccepted(client),
      isSessionPresent: (sessionId) => bySession.get(sessionId)?.isSessionPresent ?? false,
      publish(client, packet, done) {
        const connection = known(client)
        if (connection) connection.onPublish(packet, done)
        else done(new Error('publication without a connection'))
      },
      released: (client, packetId) => known(client)?.session?.receipts.delete(packetId),
      ready: (client) => known(client)?.onReady(),
    },
    {
      maximumPacketSize: limits.maxPacketBytes,
      receiveMaximum: limits.maxInflight,
      sessionExpiryIntervalLimit: limits.sessionExpiryS,
      pendingSessionsLimit: limits.maxConnections,
    },
  )
  // An error event without a listener is thrown.
  broker.on('error', (error: unknown) => log.error({ err: error }, 'MQTT broker failed'))
  broker.on('keepaliveTimeout', (client) => known(client as AedesClient)?.onKeepAliveTimeout())
  broker.on('clientError', (client, error) => known(client as AedesClient)?.onAedesError(error))
  broker.on('connectionError', (client, error) => known(client as AedesClient)?.onAedesError(error))

  const host: Host = {
    authority,
    publish,
    log,
    limits,
    broker,
    sessions,
    routes,
    retained,
    refuse,
    connectionOf,
    async claim(connection, sessionId) {
      connection.sessionId = sessionId
      const previous = bySession.get(sessionId)
      bySession.set(sessionId, connection)
      if (!previous) return
      previous.close(Reason.sessionTakenOver)
      // Its session is detached and its will sent before the new connection goes on.
      await previous.closed
    },
    onAuthenticated: (connection) => admission.onAuthenticated(connection.info.remoteAddress),
    onOpen(connection) {
      metrics.connected()
      if (connection.isSessionPresent && connection.session) revocation.recheck(connection.session)
    },
    onClosed(connection, { wasOpen, wasAuthenticated }) {
      all.delete(connection)
      const { sessionId } = connection
      if (sessionId !== undefined && bySession.get(sessionId) === connection) bySession.delete(sessionId)
      admission.onClosed(connection.info.remoteAddress, wasAuthenticated)
      if (wasOpen) metrics.disconnected()
    },
    onStored(message) {
      metrics.received()
      if (message.retain) retained.set(message)
    },
    onLost: (error) => metrics.dropped(reasonWord(error)),
  }

  const revocation = watchAuthority({
    authority,
    log,
    refuse,
    sessions: () => sessions.all(),
    connectionOf: (session) => bySession.get(session.id),
  })

  let isStopping = false
  return {
    handle(stream, info) {
      const refusal = isStopping ? 'stopping' : admission.admit(info.remoteAddress)
      if (refusal) {
        refuse({ reason: refusal, address: info.remoteAddress, code: Reason.serverBusy })
        stream.on('error', () => undefined)
        stream.destroy()
        return
      }
      all.add(new Connection(host, stream, info))
    },
    async stop() {
      isStopping = true
      const ending = [...all].map((connection) => {
        connection.close(Reason.serverShuttingDown)
        return connection.closed
      })
      await Promise.all(ending)
      revocation.stop()
      sessions.stop()
      routes.stop()
      await new Promise<void>((resolve) => broker.close(resolve))
    },
  }
}
