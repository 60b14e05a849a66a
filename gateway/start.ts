import { randomBytes } from 'node:crypto'
import { createAuthority } from '../adapters/authority-cache.ts'
import { createRemoteBackend } from '../adapters/authority-rpc.ts'
import { createConnectionQuota } from '../adapters/quota.ts'
import { createRefusals } from '../adapters/refusals.ts'
import { createRemoteSink } from '../adapters/traffic-rpc.ts'
import { createAttempts } from '../platform/attempts.ts'
import { connectBus } from '../platform/bus/connect.ts'
import type { Bus } from '../platform/bus/connect.ts'
import { createNodes } from '../platform/bus/nodes.ts'
import { createPublisher } from '../platform/bus/publisher.ts'
import { watchJetStream } from '../platform/bus/jetstream-watch.ts'
import { keepStreams } from '../platform/bus/keep-streams.ts'
import { ensureStreams } from '../platform/bus/streams.ts'
import { COMPAT_PORTS } from '../platform/compat-ports.ts'
import type { Config, Role } from '../platform/config.ts'
import { migrate } from '../platform/db/migrate.ts'
import { createAddressList, createAddressReader } from '../platform/http/client-address.ts'
import type { Endpoint } from '../platform/http/endpoint.ts'
import { createLifecycle } from '../platform/lifecycle.ts'
import type { Lifecycle } from '../platform/lifecycle.ts'
import type { Logger } from '../platform/log.ts'
import { createSecretBrake } from '../platform/secret-brake.ts'
import { createMetrics } from '../platform/metrics.ts'
import { createAuthorityProbe } from './authority-probe.ts'
import { startAdapters } from './adapters.ts'
import { readFreeBytes } from './embedded/disk-space.ts'
import { createApp } from './http/app.ts'
import { withDocs } from './http/docs.ts'
import { healthEndpoints } from './http/health.ts'
import { listen } from './http/server.ts'
import { createSlowReaderGuard } from './http/slow.ts'
import { createStrangers } from './http/strangers.ts'
import { showBus } from './bus-metrics.ts'
import { startInfrastructure } from './infrastructure.ts'
import { startManagement } from './management.ts'
import { startReading } from './reading.ts'
import { openDatabase } from './database.ts'
import type { Services } from './services.ts'
import { startStorage } from './storage.ts'

/** Roles that let somebody in, or not. */
const ASKING: readonly Role[] = ['http', 'mqtt', 'ws', 'reader']

export interface Gateway {
  /** What this process serves over HTTP, the adapters' paths left out. */
  readonly endpoints: readonly Endpoint[]
  readonly httpPorts: readonly number[]
  readonly mqttPort: number | undefined
  readonly mqttsPort: number | undefined
  /** Reads the files of certificates again; absent where there are none. Never throws. */
  readonly reload: (() => void) | undefined
  /** The superadmin that this start has made; the password only when nobody had chosen one. */
  readonly firstAdmin: { readonly username: string; readonly password: string | undefined } | undefined
  /** Drains and stops everything, children included. Further calls wait for the same stop. */
  stop(): Promise<void>
}

/**
 * Builds the process out of its configuration: platform, services and adapters of the roles asked for, then opens the ports.
 * When any of it fails, what was started is stopped again.
 *
 * @param onFailure a server of our own has ended; the gateway cannot go on
 * @param signal gives the start up, between two of its steps
 * @throws {StartError} with the sentence to print
 * @throws the signal's reason
 */
export async function startGateway(
  config: Config,
  log: Logger,
  onFailure: (reason: string) => void = () => undefined,
  signal?: AbortSignal,
): Promise<Gateway> {
  const life = createLifecycle(log)
  try {
    return await start(config, log, life, onFailure, signal)
  } catch (error) {
    await life.stop()
    throw error
  }
}

async function start(
  config: Config,
  log: Logger,
  life: Lifecycle,
  onFailure: (reason: string) => void,
  signal: AbortSignal | undefined,
): Promise<Gateway> {
  const has = (role: Role) => config.roles.includes(role)
  const { databaseUrl, natsUrl } = await startInfrastructure(config, life, log, onFailure)
  signal?.throwIfAborted()
  const metrics = createMetrics()

  const [bus] = await Promise.all([
    connectBus({ servers: natsUrl, name: 'sluice', log }),
    databaseUrl === undefined ? undefined : migrate(databaseUrl),
  ])
  life.onStop('bus', () => bus.drain())
  signal?.throwIfAborted()
  const streams = { messagesMaxBytes: config.streamMaxBytes, replicas: config.streamReplicas }
  await ensureStreams(bus, streams)
  const keeping = keepStreams(bus, streams)
  life.onStop('streams', () => keeping.stop())
  const isEmbedded = config.natsUrl === undefined
  const jetStream = watchJetStream(bus, isEmbedded ? { findFacts: () => describeDisk(config.dataDir) } : {})
  life.onStop('jetstream watch', () => jetStream.stop())
  const nodes = createNodes(bus)
  life.onStop('nodes', () => nodes.stop())
  const publisher = createPublisher(bus)
  showBus(metrics, bus, publisher, jetStream)
  life.onStop('publisher', () => publisher.stop())

  // Not among what stands on the database: a process of adapters alone has doors to guess at too.
  const limits = {
    perAccount: config.maxFailuresPerAccount,
    perAddress: config.maxFailuresPerAddress,
    windowS: config.failureWindowS,
  }
  const attempts = createAttempts(limits)
  const proxies = config.trustProxy ?? []
  // Counted apart from people's: devices of one address that try secrets keep nobody there from signing in.
  const isShared = createAddressList(proxies)
  const secretBrake = createSecretBrake({ ...limits, isShared })
  const addressOf = createAddressReader(proxies)
  const database =
    databaseUrl === undefined
      ? undefined
      : await openDatabase({ config, databaseUrl, life, log, metrics, attempts, secretBrake })
  signal?.throwIfAborted()
  const common = { config, life, log, metrics, bus, publisher, nodes }
  const management = database && has('api') ? await startManagement({ ...common, ...database }) : undefined
  if (database && has('writer')) {
    const { replayWindowS, messageRetentionDays: retentionDays } = config
    const seriesLimits = { perChannel: config.maxChannelSeries, perDomain: config.maxDomainSeries }
    startStorage({ ...common, ...database, replayWindowS, retentionDays, seriesLimits })
  }

  const backend = management?.backend ?? createRemoteBackend(bus)
  const trafficSink = management?.trafficSink ?? createRemoteSink(bus)
  const authority = createAuthority({ backend, bus, brake: secretBrake, metrics })
  life.onStop('authority', () => authority.stop())
  await authority.ready
  signal?.throwIfAborted()
  const refusals = createRefusals({ protocol: 'http', log, metrics })
  const quota = createConnectionQuota({
    perClient: config.maxClientConnections,
    perDomain: config.maxDomainConnections ?? Math.max(1, Math.floor(config.maxConnections * 0.75)),
    perClientPerS: config.maxClientConnectsPerS,
    perDomainPerS: config.maxDomainConnectsPerS,
  })
  const strangers = createStrangers({
    quota,
    open: metrics.connections('http'),
    maxConnections: config.maxConnections,
    maxPerAddress: config.maxUnauthenticatedHttpPerAddress,
    isShared,
    onRefused: (reason, address) => refusals.note(reason, { address }),
  })
  const { letIn } = strangers
  const adapters = await startAdapters({ ...common, authority, addressOf, quota, letIn, trafficSink })
  const reading =
    database && has('reader')
      ? startReading({
          ...common,
          authority,
          traffic: adapters.traffic,
          messages: database.services.messages,
          streamBus: await connectReaders(natsUrl, common),
        })
      : undefined

  const mustAsk = !management && ASKING.some(has)
  const endpoints = withDocs(
    [
      ...healthEndpoints({
        bus,
        jetStream,
        database: database?.probe,
        askAuthority: mustAsk ? createAuthorityProbe(bus) : undefined,
        registry: metrics.registry,
      }),
      ...(reading?.endpoints ?? []),
      ...(management?.endpoints ?? []),
    ],
    has('http'),
  )
  const app = createApp({
    endpoints,
    authenticate: database && ((token) => database.services.auth.authenticate(token)),
    addressOf,
    letIn,
    maxBodyBytes: config.maxBodyBytes,
    log,
  })
  const answer = app.callback()
  const sendTimeoutMs = config.sendTimeoutS * 1_000
  const watchForSlow = createSlowReaderGuard({ sendTimeoutMs, addressOf, log, metrics })
  const servers = await listen({
    host: config.host,
    ports: [...config.httpPorts, ...(config.compatPorts ? COMPAT_PORTS : [])],
    strangers,
    onRequest: (req, res) => {
      if (adapters.http?.handle(req, res)) return
      watchForSlow(req, res)
      void answer(req, res)
    },
    onUpgrade: adapters.onUpgrade,
  })
  life.onStop('http', () => servers.stop())
  // Before the servers, which close what looks idle, and wait for answers under way.
  if (adapters.http) life.onStop('http publishing', () => adapters.http?.stop())
  if (reading) life.onStop('live readers', () => reading.stop())
  signal?.throwIfAborted()
  // Last of all: its password is shown once, and a start that fails after making it would never show it.
  const firstAdmin = database && has('api') ? await createFirstAdmin(config, database.services) : undefined
  return {
    endpoints,
    httpPorts: servers.ports,
    mqttPort: adapters.mqttPort,
    mqttsPort: adapters.mqttsPort,
    reload: adapters.reload,
    firstAdmin,
    stop: () => life.stop(),
  }
}

/**
 * A connection of their own for those who read the stream for somebody: the server cuts a connection that takes too slowly
 * what it has asked for, and that must not be the one that devices publish over and the writer reads from.
 */
async function connectReaders(
  servers: string,
  { life, log }: { life: Lifecycle; log: Logger },
): Promise<Bus> {
  const name = 'sluice stream readers'
  const bus = await connectBus({ servers, name, log: log.child({ connection: name }) })
  life.onStop(name, () => bus.drain())
  return bus
}

const describeDisk = async (folder: string) => ({ folder, freeBytes: await readFreeBytes(folder) })

async function createFirstAdmin(config: Config, { users }: Services): Promise<Gateway['firstAdmin']> {
  const generated = config.adminPassword === undefined ? randomBytes(15).toString('base64url') : undefined
  const created = await users.createFirstSuperadmin({
    username: config.adminUsername,
    email: config.adminEmail,
    password: config.adminPassword ?? generated ?? '',
    firstName: 'Super',
    lastName: 'Admin',
    tags: [],
    metadata: {},
    privateMetadata: {},
    profilePicture: '',
    role: undefined,
    status: undefined,
  })
  return created && { username: created.username, password: generated }
}
