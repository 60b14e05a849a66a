import type { Duplex } from 'node:stream'
import type { Logger } from '../../platform/log.ts'
import type { ChannelFeed } from '../../platform/bus/subscriptions.ts'
import type { Metrics } from '../../platform/metrics.ts'
import type { Authority } from '../authority.ts'
import type { Publish } from '../publish.ts'
import { createRefusals } from '../refusals.ts'
import { createAdmission } from './admission.ts'
import { createAedesBroker, listenForErrors } from './aedes-broker.ts'
import type { AedesClient } from './aedes-broker.ts'
import { Reason } from './codes.ts'
import { Connection } from './connection.ts'
import type { ConnectionInfo, Peer } from './peer.ts'
import type { Host, MqttLimits } from './host.ts'
import type { CheckPayload } from './inbound.ts'
import { createRetained } from './retained.ts'
import { watchAuthority } from './revocation.ts'
import { createRoutes } from './routes.ts'
import { createSessions } from './sessions.ts'

export interface MqttAdapterOptions {
  readonly authority: Authority
  readonly publish: Publish
  readonly feed: ChannelFeed
  /** Asked about payloads of MQTT 5 clients that say they are SenML (contract D31). */
  readonly checkPayload?: CheckPayload
  readonly log: Logger
  readonly metrics: Metrics
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
  const refusals = createRefusals({ protocol: 'mqtt', log, metrics })
  const received = metrics.received('mqtt')
  const open = metrics.connections('mqtt')
  const admission = createAdmission(limits)
  const routes = createRoutes(feed, log)
  const retained = createRetained({
    onEvict: ({ domainId, channelId }) => refusals.note('retained_evicted', { domainId, channelId }),
  })
  const all = new Set<Peer>()
  const bySession = new Map<string, Peer>()
  const connectionOf = new WeakMap<object, Peer>()

  const sessions = createSessions({
    outbox: { ...limits, delivered: metrics.delivered('mqtt') },
    maxKept: limits.maxConnections,
    onDrop: (session, reason) => refusals.note(reason, { clientId: session.principal.id }),
    onEvict: ({ principal }) =>
      refusals.note('session_evicted', { domainId: principal.domainId, clientId: principal.id }),
    onEnd(session) {
      for (const filter of session.subscriptions.keys()) routes.remove(session, filter)
    },
  })

  const known = (client: AedesClient): Peer | undefined => connectionOf.get(client.conn)

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
      released: (client, packetId) => known(client)?.onReleased(packetId),
      ready: (client) => known(client)?.onReady(),
    },
    {
      maximumPacketSize: limits.maxPacketBytes,
      receiveMaximum: limits.receiveMaximum,
      sessionExpiryIntervalLimit: limits.sessionExpiryS,
      pendingSessionsLimit: limits.maxConnections,
    },
  )
  // An error event without a listener is thrown.
  listenForErrors(broker, (error) => log.error({ err: error }, 'MQTT broker failed'))
  broker.on('keepaliveTimeout', (client) => known(client as AedesClient)?.onKeepAliveTimeout())
  broker.on('clientError', (client, error) => known(client as AedesClient)?.onAedesError(error))
  broker.on('connectionError', (client, error) => known(client as AedesClient)?.onAedesError(error))

  const host: Host = {
    authority,
    publish,
    checkPayload: options.checkPayload ?? (() => undefined),
    log,
    limits,
    broker,
    sessions,
    routes,
    retained,
    refusals,
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
      open.value += 1
      // A change between our questions and here found no session to look at.
      if (connection.session) revocation.recheck(connection.session)
    },
    onClosed(connection, { wasOpen, wasAuthenticated }) {
      all.delete(connection)
      const { sessionId } = connection
      if (sessionId !== undefined && bySession.get(sessionId) === connection) bySession.delete(sessionId)
      admission.onClosed(connection.info.remoteAddress, wasAuthenticated)
      if (wasOpen) open.value -= 1
    },
    onStored(message) {
      received.value += 1
      if (message.retain) retained.set(message)
    },
    onLost: (error) => refusals.noteError(error),
  }

  const revocation = watchAuthority({
    authority,
    log,
    refusals,
    sessions: () => sessions.all(),
    connectionOf: (session) => bySession.get(session.id),
  })

  let isStopping = false
  return {
    handle(stream, info) {
      const refusal = isStopping ? 'stopping' : admission.admit(info.remoteAddress)
      if (refusal) {
        refusals.note(refusal, { code: Reason.serverBusy, address: info.remoteAddress })
        stream.on('error', () => undefined)
        stream.destroy()
        return
      }
      all.add(new Connection(host, stream, info))
    },
    async stop() {
      isStopping = true
      const ending = [...all].map(async (connection) => {
        connection.close(Reason.serverShuttingDown)
        await connection.closed
        await connection.settled()
      })
      await Promise.all(ending)
      revocation.stop()
      sessions.stop()
      routes.stop()
      await new Promise<void>((resolve) => broker.close(resolve))
    },
  }
}
