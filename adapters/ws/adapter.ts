import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import type { WebSocket } from 'ws'
import { callAt } from '../../platform/alarm.ts'
import type { ChannelFeed, Following } from '../../platform/bus/subscriptions.ts'
import { Forbidden, RateLimited, Unauthenticated, Unavailable } from '../../platform/errors.ts'
import type { AddressReader } from '../../platform/http/client-address.ts'
import { readCredentials, splitUrl } from '../../platform/http/credentials.ts'
import type { Logger } from '../../platform/log.ts'
import type { Metrics } from '../../platform/metrics.ts'
import { createRate } from '../../platform/rate.ts'
import { createRecheckQueue } from '../../platform/recheck.ts'
import { admit } from '../admission.ts'
import { isTouched } from '../authority.ts'
import type { Authority } from '../authority.ts'
import { readContentType } from '../content-type.ts'
import { toCredentials } from '../credentials.ts'
import type { Publish } from '../publish.ts'
import type { ConnectionQuota, Holder } from '../quota.ts'
import { createRefusals } from '../refusals.ts'
import { hasWildcard, InvalidTopic, parseTopicPath, TOPIC_LIMITS } from '../topics.ts'
import type { Topic, TopicLimits } from '../topics.ts'
import type { Traffic } from '../traffic.ts'
import { CLOSE } from './close-codes.ts'
import { Connection } from './connection.ts'
import type { ConnectionContext, Entitlement } from './connection.ts'
import { createCorks } from './corks.ts'
import { startHeartbeat } from './heartbeat.ts'
import { rejectUpgrade } from './reject.ts'

export interface WsLimits {
  readonly topics: TopicLimits
  /** Handshakes; any number when not given. */
  readonly maxConnectsPerS?: number | undefined
  readonly maxPayloadBytes: number
  readonly maxConnections: number
  /** Handshakes whose credentials are being looked up. */
  readonly maxHandshakes: number
  /** Bytes that may wait for a slow reader before it is dropped. */
  readonly maxBufferedBytes: number
  readonly pingIntervalMs: number
}

const DEFAULT_LIMITS: WsLimits = {
  topics: TOPIC_LIMITS,
  maxPayloadBytes: 262_144,
  maxConnections: 50_000,
  maxHandshakes: 1_000,
  maxBufferedBytes: 1_048_576,
  pingIntervalMs: 30_000,
}

/** Counted as one, on however many ports. */
const LISTENER = 'ws'
const STOP_TIMEOUT_MS = 2_000

export interface WsAdapter {
  /** @returns `false` when the path is none of ours; the socket is untouched then */
  handleUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer): boolean
  /** Closes all sockets with 1001 and resolves when they are closed. */
  stop(): Promise<void>
}

export interface WsAdapterOptions {
  readonly authority: Authority
  readonly addressOf: AddressReader
  readonly traffic: Traffic
  readonly quota: ConnectionQuota
  readonly publish: Publish
  readonly feed: ChannelFeed
  readonly log: Logger
  readonly metrics: Metrics
  readonly limits?: Partial<WsLimits>
}

/**
 * Devices and pages on plain WebSocket (api.md 12). Everything is decided in the handshake; afterwards a socket is closed as
 * soon as it has lost what it was let in with.
 */
export function createWsAdapter(options: WsAdapterOptions): WsAdapter {
  const { authority, addressOf, traffic, quota, publish, feed, log, metrics } = options
  const limits: WsLimits = { ...DEFAULT_LIMITS, ...options.limits }
  const refusals = createRefusals({ log, metrics, protocol: 'ws' })
  const open = metrics.connections('ws')
  const connections = new Set<Connection>()
  const heartbeat = startHeartbeat(connections, limits.pingIntervalMs)
  const context: ConnectionContext = {
    publish,
    refusals,
    received: metrics.received('ws'),
    delivered: metrics.delivered('ws'),
    onDelivered: metrics.delivery('ws'),
    maxBufferedBytes: limits.maxBufferedBytes,
    corks: createCorks(),
  }
  const server = new WebSocketServer({
    noServer: true,
    // A context of zlib for each socket would cost more memory than all the rest of it.
    perMessageDeflate: false,
    maxPayload: limits.maxPayloadBytes,
    // Known to ws, and not yet to its types.
    ...({ closeTimeout: 10_000 } as object),
    clientTracking: false,
  })
  const connects = limits.maxConnectsPerS === undefined ? undefined : createRate(limits.maxConnectsPerS)
  let handshakes = 0
  let isStopping = false
  let onEmpty: (() => void) | undefined

  const recheck = createRecheckQueue<Connection>({ check, log })
  const removeOnChange = authority.onChange((change) => {
    for (const connection of connections) {
      const { principal, address } = connection.entitlement
      if (isTouched(change, { principal, ...address })) recheck.add(connection)
    }
  })

  /** Closes the connection if it has lost any of what it was let in with. */
  async function check(connection: Connection): Promise<void> {
    const { credentials, canPublish, canSubscribe, principal, address } = connection.entitlement
    const { channelId } = address
    // The credentials too: rotating a secret ends what was opened with the old one.
    const [holder, mayPublish, maySubscribe] = await Promise.all([
      authority.authenticate(credentials),
      !canPublish || authority.authorize({ principal, channelId, action: 'publish' }),
      !canSubscribe || authority.authorize({ principal, channelId, action: 'subscribe' }),
    ])
    if (!holder || !mayPublish || !maySubscribe) connection.refuse('revoked', CLOSE.policyViolation)
  }

  async function entitle(
    req: IncomingMessage,
    topic: Topic | Error,
    query: URLSearchParams,
  ): Promise<Entitlement> {
    const presented = readCredentials(req.headers.authorization, query.get('authorization'))
    if (!presented) throw new Unauthenticated()
    if (topic instanceof Error) throw topic
    const { principal, address } = await admit(authority, presented, topic, addressOf(req))
    const { domainId, channelId } = address
    const [mayPublish, canSubscribe] = await Promise.all([
      authority.authorize({ principal, channelId, action: 'publish' }),
      authority.authorize({ principal, channelId, action: 'subscribe' }),
    ])
    // On a path with wildcards there is nothing to do for who may only publish.
    const canPublish = mayPublish && !hasWildcard(topic)
    if (!canPublish && !canSubscribe) throw new Forbidden()
    // A frame has no place for its type, so the path has one for all of them.
    const type = query.get('content-type')
    const contentType = type === null ? '' : readContentType(type)
    const credentials = toCredentials(presented, domainId)
    return { principal, address, topic, credentials, contentType, canPublish, canSubscribe }
  }

  async function shake(
    req: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    topic: Topic | Error,
    query: URLSearchParams,
  ): Promise<void> {
    if (isStopping) throw new Unavailable('the gateway is stopping')
    if (connections.size >= limits.maxConnections || handshakes >= limits.maxHandshakes) {
      throw new Unavailable('too many connections')
    }
    const waitMs = connects?.waitMs(LISTENER) ?? 0
    if (waitMs > 0) {
      throw new RateLimited(waitMs / 1_000, { code: 'connect_rate', message: 'too many new connections' })
    }
    connects?.take(LISTENER)
    handshakes += 1
    let following: Following | undefined
    let holder: Holder | undefined
    let connection: Connection | undefined
    try {
      const entitlement = await entitle(req, topic, query)
      const { principal, address } = entitlement
      const counted = { clientId: principal.id, domainId: address.domainId }
      quota.enter(counted)
      holder = counted
      if (entitlement.canSubscribe) {
        following = feed.follow(
          entitlement.address,
          (message) => connection?.deliver(message),
          (message) => connection?.miss(message),
        )
        // Before the 101: who is told that he is connected misses nothing from then on.
        await following.ready
      }
      if (isStopping) throw new Unavailable('the gateway is stopping')
      server.handleUpgrade(req, socket, head, (ws) => {
        connection = add(ws, socket, entitlement, following)
        ws.on('close', () => quota.leave(counted))
      })
    } finally {
      handshakes -= 1
      // Refused; or malformed, which ws has answered itself.
      if (!connection) {
        following?.stop()
        if (holder) quota.leave(holder)
      }
    }
  }

  function add(
    ws: WebSocket,
    socket: Duplex,
    entitlement: Entitlement,
    following: Following | undefined,
  ): Connection {
    const connection = new Connection(ws, socket, entitlement, context)
    if (following) connection.following = following
    const { principal } = entitlement
    const usage =
      principal.kind === 'client' ? traffic.begin(principal.id, 'ws', () => (following ? 1 : 0)) : undefined
    connection.counted = usage?.client
    connections.add(connection)
    heartbeat.add(connection)
    open.value += 1
    const endsAtMs = principal.kind === 'user' ? principal.expiresAtMs : undefined
    const disarm =
      endsAtMs === undefined
        ? undefined
        : callAt(endsAtMs, () => connection.refuse('expired', CLOSE.policyViolation))
    ws.on('close', () => {
      disarm?.()
      usage?.end()
      connections.delete(connection)
      heartbeat.remove(connection)
      open.value -= 1
      if (connections.size === 0) onEmpty?.()
    })
    // A change between our questions and this line found no connection to close.
    recheck.add(connection)
    return connection
  }

  return {
    handleUpgrade(req, socket, head) {
      const { path, query } = splitUrl(req.url ?? '/')
      const topic = topicOf(path, limits.topics)
      if (!topic) return false
      // Until ws takes over, nobody else listens, and an error without a listener ends the process.
      const ignore = (): void => undefined
      socket.on('error', ignore)
      shake(req, socket, head, topic, query).then(
        () => socket.off('error', ignore),
        (error: unknown) => {
          const prefix = topic instanceof Error ? undefined : topic.prefix
          refusals.noteError(error, { address: addressOf(req), topic: prefix })
          rejectUpgrade(socket, error)
        },
      )
      return true
    },

    async stop() {
      isStopping = true
      removeOnChange()
      recheck.stop()
      const emptied = new Promise<void>((resolve) => {
        onEmpty = resolve
        if (connections.size === 0) resolve()
      })
      for (const connection of connections) connection.close(CLOSE.goingAway, 'going away')
      const timer = setTimeout(() => {
        for (const connection of connections) connection.terminate()
      }, STOP_TIMEOUT_MS)
      await emptied
      clearTimeout(timer)
      heartbeat.stop()
      server.close()
    },
  }
}

/** The error is kept for later: who has no credentials learns of nothing else. */
function topicOf(path: string, limits: TopicLimits): Topic | InvalidTopic | undefined {
  try {
    return parseTopicPath(path, 'subscribe', limits)
  } catch (error) {
    if (error instanceof InvalidTopic) return error
    throw error
  }
}
