import type { z } from 'zod'
import {
  atLeast,
  email,
  flag,
  integer,
  key,
  list,
  natsServers,
  network,
  oneOf,
  text,
  url,
} from './config-values.ts'
import { username } from './identifiers.ts'

/** What a process of Sluice does: all of it on a laptop, a part where it is scaled out. */
export const ROLES = ['http', 'mqtt', 'ws', 'api', 'writer', 'reader'] as const
export type Role = (typeof ROLES)[number]

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
const DAY_S = 86_400

const PER_PROCESS =
  'Each process counts by itself: with several behind a load balancer, divide. As many as in a second may come at once. What is too much: HTTP 429, WebSocket closed with 1013, MQTT 5 reason 0x97, MQTT 3.1.1 slowed down; QoS 0 is dropped and counted.'

export interface Setting<Value> {
  /** The environment variable. */
  readonly variable: string
  readonly schema: z.ZodType<Value, string | undefined>
  /** What holds when it is not given, as one would write it; absent where not giving it means something of its own. */
  readonly fallback?: string
  /** What it is for, in Markdown. */
  readonly about: string
  /** Its value is never repeated. */
  readonly isSecret: boolean
}

type Kind<Value> = z.ZodType<Value, string>

function setting<Value>(
  variable: string,
  fallback: string,
  kind: Kind<Value>,
  about: string,
): Setting<Value> {
  // The fallback goes through the same check, so it cannot be wrong unseen.
  return { variable, schema: kind.prefault(fallback), fallback, about, isSecret: false }
}

function optional<Value>(variable: string, kind: Kind<Value>, about: string): Setting<Value | undefined> {
  return { variable, schema: kind.optional(), about, isSecret: false }
}

function secret<Value>(variable: string, kind: Kind<Value>, about: string): Setting<Value | undefined> {
  return { ...optional(variable, kind, about), isSecret: true }
}

/** Every setting, in the order of the documentation. The one place that knows names, forms and defaults. */
export const SETTINGS = {
  roles: setting(
    'SLUICE_ROLES',
    ROLES.join(','),
    list(oneOf(ROLES)),
    'What this process does: the adapters `http`, `mqtt` and `ws`, the management services `api`, and `writer` and `reader` of stored messages.',
  ),
  logLevel: setting(
    'SLUICE_LOG_LEVEL',
    'info',
    oneOf(LOG_LEVELS),
    'The least important log lines that are written.',
  ),

  host: setting(
    'SLUICE_HOST',
    '127.0.0.1',
    text(),
    'Address that HTTP and MQTT listen on. `0.0.0.0` opens them to the network.',
  ),
  httpPorts: setting(
    'SLUICE_HTTP_PORT',
    '8080',
    list(integer(0, 65_535)),
    'Port of everything HTTP, or a comma list. `0` takes a free one.',
  ),
  mqttPort: setting('SLUICE_MQTT_PORT', '1883', integer(0, 65_535), 'Port of MQTT. `0` takes a free one.'),
  mqttsPort: setting(
    'SLUICE_MQTTS_PORT',
    '8883',
    integer(0, 65_535),
    'Port of MQTT over TLS, open when there is a certificate. `0` takes a free one.',
  ),
  tlsCert: optional(
    'SLUICE_TLS_CERT',
    text(),
    'File with the certificate of the MQTT port with TLS, in PEM, and behind it those between it and its root. It and the other files are read again on SIGHUP: new connections get the new certificate, clients whose own does not hold any more are disconnected, and what cannot be read leaves the old one.',
  ),
  tlsKey: optional(
    'SLUICE_TLS_KEY',
    text(),
    "File with the certificate's private key, in PEM, without a passphrase.",
  ),
  tlsCa: optional(
    'SLUICE_TLS_CA',
    text(),
    'File with the certificates, in PEM, of those who sign certificates of clients. With it clients may show one: if its common name, or a URI of its alternative names, is the id of a client (a UUID, `urn:uuid:` in front or not), that is who connects, and no password is needed.',
  ),
  tlsCrl: optional(
    'SLUICE_TLS_CRL',
    text(),
    'File with lists of revoked client certificates, in PEM: one, in force, of each authority in `SLUICE_TLS_CA` and between it and a client, or clients are refused.',
  ),
  tlsClientAuth: setting(
    'SLUICE_TLS_CLIENT_AUTH',
    'optional',
    oneOf(['optional', 'required']),
    'Whether clients need a certificate on the port with TLS once `SLUICE_TLS_CA` is given. One that names no client opens the connection alone, and user name and password count.',
  ),
  compatPorts: setting(
    'SLUICE_COMPAT_PORTS',
    '0',
    flag(),
    "Opens in addition the ports that Magistrala's clients expect by default.",
  ),
  publicUrl: optional(
    'SLUICE_PUBLIC_URL',
    url('http', 'https'),
    'Where people reach this gateway from outside, for links and for the banner.',
  ),
  linkOrigins: optional(
    'SLUICE_LINK_ORIGINS',
    list(url('http', 'https')),
    'Comma list of the origins of user interfaces that links in mails may lead to when a request asks for it. Every other wish is ignored, so that nobody is sent to a place of a stranger.',
  ),
  trustProxy: optional(
    'SLUICE_TRUST_PROXY',
    list(network()),
    'Comma list of addresses and networks (`10.0.0.0/8`) of the proxies in front. Only they are believed when they say in `X-Forwarded-For` for whom they ask.',
  ),

  dataDir: setting(
    'SLUICE_DATA_DIR',
    './data',
    text(),
    'Folder of what this process keeps itself: the embedded Postgres and NATS, and generated keys.',
  ),
  databaseUrl: secret(
    'SLUICE_DATABASE_URL',
    url('postgres', 'postgresql'),
    'Postgres to use. Without it one is started with its data in the data folder.',
  ),
  natsUrl: secret(
    'SLUICE_NATS_URL',
    natsServers(),
    'NATS to use, with JetStream on; a comma list for a cluster. Without it a `nats-server` is started with its data in the data folder.',
  ),
  natsServer: optional(
    'SLUICE_NATS_SERVER',
    text(),
    'Path of the `nats-server` to start. Without it the PATH is searched, then `.cache/`, then it is fetched.',
  ),
  natsDownloadUrl: optional(
    'SLUICE_NATS_DOWNLOAD_URL',
    url('http', 'https'),
    "Address of a folder with the release archives of `nats-server` and their `SHA256SUMS`, instead of the project's own. Read by the bootstrap of `npm start` and `npm test`.",
  ),

  secretKey: secret(
    'SLUICE_SECRET_KEY',
    key(),
    'Master key: 32 random bytes as 64 hexadecimal digits or in base64. Without it one is made and kept in the data folder; processes that share a database need the same.',
  ),
  adminUsername: setting(
    'SLUICE_ADMIN_USERNAME',
    'admin',
    username,
    'Name of the super-admin that the first start makes: 1 to 32 letters, digits, `-` and `_`.',
  ),
  adminEmail: setting(
    'SLUICE_ADMIN_EMAIL',
    'admin@example.com',
    email(),
    "The super-admin's e-mail address.",
  ),
  adminPassword: secret(
    'SLUICE_ADMIN_PASSWORD',
    atLeast(8),
    "The super-admin's password, 8 characters or more. Without it one is made and printed once.",
  ),
  openSignup: setting('SLUICE_OPEN_SIGNUP', '1', flag(), 'Lets strangers register themselves as users.'),
  openAdminSignup: setting(
    'SLUICE_OPEN_ADMIN_SIGNUP',
    '0',
    flag(),
    'Lets strangers register themselves as super-admins. For test machines alone.',
  ),
  accessTokenS: setting(
    'SLUICE_ACCESS_TOKEN_S',
    '3600',
    integer(1, DAY_S),
    'Seconds that an access token holds.',
  ),
  refreshTokenS: setting(
    'SLUICE_REFRESH_TOKEN_S',
    '86400',
    integer(1, 366 * DAY_S),
    'Seconds that a refresh token holds.',
  ),
  signingKeyS: setting(
    'SLUICE_SIGNING_KEY_S',
    '2592000',
    integer(60, 3_660 * DAY_S),
    'Seconds after which access tokens are signed with a new key. Tokens that the old one has signed hold to their end.',
  ),
  upkeepS: setting(
    'SLUICE_UPKEEP_S',
    '30',
    integer(1, 3_600),
    'Seconds between two looks at what has grown old: signing keys to replace, expired sessions and tokens to remove.',
  ),
  requireVerifiedEmail: setting(
    'SLUICE_REQUIRE_VERIFIED_EMAIL',
    '0',
    flag(),
    'Lets users work only once they have verified their e-mail address.',
  ),
  smtpUrl: secret(
    'SLUICE_SMTP_URL',
    url('smtp', 'smtps'),
    'Mail server, such as `smtps://user:password@mail.example.com`. Without it mails are written to the log at level `debug`.',
  ),
  smtpFrom: setting('SLUICE_SMTP_FROM', 'Sluice <sluice@localhost>', text(), 'Sender of mails.'),
  maxFailuresPerAccount: setting(
    'SLUICE_MAX_FAILURES_PER_ACCOUNT',
    '10',
    integer(1, 1_000_000),
    'Failed attempts to sign in to one account that are answered before further ones are put off; also wrong secrets tried for one client, and mails asked for to one address. They are forgotten evenly over `SLUICE_FAILURE_WINDOW_S`. Each process counts by itself.',
  ),
  maxFailuresPerAddress: setting(
    'SLUICE_MAX_FAILURES_PER_ADDRESS',
    '100',
    integer(1, 10_000_000),
    'The same for all that comes from one address (IPv6: one /64 network).',
  ),
  failureWindowS: setting(
    'SLUICE_FAILURE_WINDOW_S',
    '900',
    integer(1, DAY_S),
    'Seconds after which the last of so many failures is forgotten.',
  ),

  maxPayloadBytes: setting(
    'SLUICE_MAX_PAYLOAD_BYTES',
    '262144',
    integer(1, 4_194_304),
    'Largest message of a device, in bytes: body of a publish, MQTT packet, WebSocket frame. NATS must take it too.',
  ),
  maxBodyBytes: setting(
    'SLUICE_MAX_BODY_BYTES',
    '4194304',
    integer(1_024, 67_108_864),
    'Largest body of a management request, in bytes.',
  ),
  maxConnections: setting(
    'SLUICE_MAX_CONNECTIONS',
    '50000',
    integer(1, 10_000_000),
    'Connections that are open at once: of MQTT so many, and so many of HTTP and WebSocket. The last sixteenth of the latter is left to those who have not shown who they are, health checks and sign-in among them.',
  ),
  maxClientConnections: setting(
    'SLUICE_MAX_CLIENT_CONNECTIONS',
    '1000',
    integer(1, 10_000_000),
    'Connections that one client has open at once, over MQTT, WebSocket and kept HTTP connections together, with each process. One more is refused: MQTT 5 reason 0x97, MQTT 3.1.1 return code 3, WebSocket HTTP 429; one more of HTTP is answered, and ends with its answer. The REST API and the readers of messages keep so many from each address. A client that comes back under a name that is in use takes the place of its other connection.',
  ),
  maxDomainConnections: optional(
    'SLUICE_MAX_DOMAIN_CONNECTIONS',
    integer(1, 10_000_000),
    'The same for all clients of one domain. Without it three quarters of `SLUICE_MAX_CONNECTIONS`, so that there is room for others whatever one tenant does; with one tenant alone, set it to as many. The connections of the REST API and of the readers together count like a domain of their own.',
  ),
  maxClientConnectsPerS: optional(
    'SLUICE_MAX_CLIENT_CONNECTS_PER_S',
    integer(1, 1_000_000),
    'New connections of one client in a second, over MQTT and WebSocket together, with each process. What is too much: MQTT 5 reason 0x9F, MQTT 3.1.1 return code 3, WebSocket HTTP 429. Without it any number.',
  ),
  maxDomainConnectsPerS: optional(
    'SLUICE_MAX_DOMAIN_CONNECTS_PER_S',
    integer(1, 1_000_000),
    'The same for all clients of one domain.',
  ),
  maxUnauthenticatedPerAddress: setting(
    'SLUICE_MAX_UNAUTHENTICATED_PER_ADDRESS',
    '100',
    integer(1, 1_000_000),
    'MQTT connections from one address that have not yet said who they are.',
  ),
  maxUnauthenticatedHttpPerAddress: setting(
    'SLUICE_MAX_UNAUTHENTICATED_HTTP_PER_ADDRESS',
    '1000',
    integer(1, 1_000_000),
    'HTTP connections from one address over which nobody has shown yet who he is. Devices behind one address that all come at once are that many for a moment.',
  ),
  maxListenerConnectsPerS: optional(
    'SLUICE_MAX_LISTENER_CONNECTS_PER_S',
    integer(1, 1_000_000),
    'New connections in a second on each listener: MQTT, MQTT over TLS, MQTT over WebSocket, WebSocket. Without it any number.',
  ),
  connectTimeoutS: setting(
    'SLUICE_CONNECT_TIMEOUT_S',
    '15',
    integer(1, 3_600),
    'Seconds that a new connection has to say who it is; as many before that for a TLS handshake.',
  ),
  maxSubscriptionsPerRequest: setting(
    'SLUICE_MAX_SUBSCRIPTIONS_PER_REQUEST',
    '64',
    integer(1, 10_000),
    'Filters in one MQTT SUBSCRIBE.',
  ),
  maxTopicLevels: setting(
    'SLUICE_MAX_TOPIC_LEVELS',
    '100',
    integer(5, 100),
    "Levels of a topic or a filter, those in front of a channel's own counted.",
  ),
  maxTopicBytes: setting(
    'SLUICE_MAX_TOPIC_BYTES',
    '3900',
    integer(128, 3_900),
    'Bytes of a topic or a filter. Characters that NATS cannot carry count threefold towards what fits at all.',
  ),
  maxSubscriptions: setting(
    'SLUICE_MAX_SUBSCRIPTIONS',
    '10000',
    integer(1, 1_000_000),
    'Filters that one MQTT session may be subscribed to.',
  ),
  maxDomainSubscriptions: setting(
    'SLUICE_MAX_DOMAIN_SUBSCRIPTIONS',
    '500000',
    integer(1, 100_000_000),
    'Filters that all connected MQTT sessions of one domain are subscribed to, with each process.',
  ),
  maxClientMessagesPerS: optional(
    'SLUICE_MAX_CLIENT_MESSAGES_PER_S',
    integer(1, 1_000_000),
    `Messages that one client may publish in a second. Without it any number, here and in the next two. ${PER_PROCESS}`,
  ),
  maxDomainMessagesPerS: optional(
    'SLUICE_MAX_DOMAIN_MESSAGES_PER_S',
    integer(1, 10_000_000),
    'Messages that all of one domain may publish in a second, counted like those of a client.',
  ),
  maxListenerMessagesPerS: optional(
    'SLUICE_MAX_LISTENER_MESSAGES_PER_S',
    integer(1, 10_000_000),
    'Messages that each listener takes in a second, counted like those of a client: HTTP publish, WebSocket, MQTT over TCP, over TLS, over WebSocket.',
  ),
  maxQueuedMessages: setting(
    'SLUICE_MAX_QUEUED_MESSAGES',
    '1000',
    integer(1, 1_000_000),
    'Messages that wait for one MQTT session.',
  ),
  maxInflight: setting(
    'SLUICE_MAX_INFLIGHT',
    '32',
    integer(1, 65_535),
    'Messages of QoS 1 and 2 that are sent to one MQTT session before it acknowledges.',
  ),
  // Wider than the other way: some clients, MQTT.js among them, do not look at it, and lose their connection beyond.
  receiveMaximum: setting(
    'SLUICE_RECEIVE_MAXIMUM',
    '1024',
    integer(1, 65_535),
    'Messages of QoS 1 and 2 that one MQTT 5 connection may publish before they are acknowledged; one more ends it. Of older versions, which cannot be told, in sessions that outlive their connection and messages of QoS 2 alone: those that the client has not released by PUBREL.',
  ),
  sessionExpiryS: setting(
    'SLUICE_SESSION_EXPIRY_S',
    '604800',
    integer(0, 4_294_967_295),
    'Seconds that the session of an absent MQTT client is kept.',
  ),
  maxDomainGroups: setting(
    'SLUICE_MAX_DOMAIN_GROUPS',
    '2000',
    integer(1, 100_000),
    'Groups of shared MQTT subscriptions that one domain may have, over all processes: one for each group and filter, and two where the filter ends in `#`. Each costs the NATS server some 60 KiB.',
  ),
  maxSessionBytes: setting(
    'SLUICE_MAX_SESSION_BYTES',
    '524288',
    integer(4_096, 4_194_304),
    'What is kept of one MQTT session that outlives its connection, in bytes: its subscriptions above all, some 400 bytes each; a filter beyond is refused. What goes on in the session may make it twice as large. Messages that wait are not part of it. NATS must take it too.',
  ),
  maxDomainSessionBytes: setting(
    'SLUICE_MAX_DOMAIN_SESSION_BYTES',
    '134217728',
    integer(1_048_576, Number.MAX_SAFE_INTEGER),
    'What is kept of all MQTT sessions of one domain, in bytes, over all processes: one costs 1 to 2 KiB and what its subscriptions take. Beyond, new ones are refused; those that are there may grow to twice as much. One client gets a sixteenth for its sessions without a connection. All domains share 512 MiB.',
  ),
  maxKeepAliveS: setting(
    'SLUICE_MAX_KEEP_ALIVE_S',
    '1200',
    integer(1, 65_535),
    'Longest keep alive in seconds that MQTT 5 clients are told to use.',
  ),

  streamMaxBytes: setting(
    'SLUICE_STREAM_MAX_BYTES',
    '4294967296',
    integer(16_777_216, Number.MAX_SAFE_INTEGER),
    'Bytes of the stream `messages`. When it is full, devices are refused; nothing that was accepted is dropped.',
  ),
  ack: setting(
    'SLUICE_ACK',
    'stream',
    oneOf(['stream', 'stored']),
    'When a message is acknowledged: once it is in the `stream` of NATS, or once it is `stored` in Postgres.',
  ),
  messageRetentionDays: setting(
    'SLUICE_MESSAGE_RETENTION_DAYS',
    '0',
    integer(0, 36_500),
    'Days that stored messages are kept, by the time of the reading; up to a week longer, since whole weeks are dropped. `0` keeps them for ever. A domain may have a number of its own.',
  ),
  maxChannelSeries: setting(
    'SLUICE_MAX_CHANNEL_SERIES',
    '100000',
    integer(1, 1_000_000_000),
    'Series of one channel: what differs in sender, protocol, subtopic, name or unit. A message with one more becomes a dead letter.',
  ),
  maxDomainSeries: setting(
    'SLUICE_MAX_DOMAIN_SERIES',
    '1000000',
    integer(1, 1_000_000_000),
    'Series of all channels of one domain.',
  ),
  streamReplicas: setting(
    'SLUICE_STREAM_REPLICAS',
    '1',
    integer(1, 5),
    'Servers of the NATS cluster that keep each message.',
  ),
  replayWindowS: setting(
    'SLUICE_REPLAY_WINDOW_S',
    '86400',
    integer(0, 366 * DAY_S),
    'Seconds that a stored message stays in the stream, for those who read it there.',
  ),
  readConnections: setting(
    'SLUICE_READ_CONNECTIONS',
    '8',
    integer(2, 1_000),
    'Connections to Postgres for reading messages. Exports take half of them at the most. The pages of one domain take a quarter, and so do its exports.',
  ),
  readTimeoutS: setting(
    'SLUICE_READ_TIMEOUT_S',
    '10',
    integer(1, 3_600),
    'Seconds after which a request for a page of messages is ended, with an error that says so.',
  ),
  totalMaxRows: setting(
    'SLUICE_TOTAL_MAX_ROWS',
    '100000',
    integer(1, 1_000_000_000),
    'Stored messages that are looked at to count the total of a page with a filter. Where there are more, the total is a minimum, and says so.',
  ),
  maxUnreadBytes: setting(
    'SLUICE_MAX_UNREAD_BYTES',
    '67108864',
    integer(4_096, Number.MAX_SAFE_INTEGER),
    'Pages of messages that have been asked for and that their readers have not taken, in bytes. One domain may have a quarter; beyond that it is answered 429. When all together have so much, the oldest of the domain that has most is cut off.',
  ),
  sendTimeoutS: setting(
    'SLUICE_SEND_TIMEOUT_S',
    '60',
    integer(1, 3_600),
    'Seconds after which an answer over HTTP of which its caller takes nothing is cut off.',
  ),
  exportMaxRows: setting(
    'SLUICE_EXPORT_MAX_ROWS',
    '10000000',
    integer(1, Number.MAX_SAFE_INTEGER),
    'Messages in one export. A longer one is cut off, which its reader can tell.',
  ),
  exportStallS: setting(
    'SLUICE_EXPORT_STALL_S',
    '300',
    integer(1, 3_600),
    'Seconds after which an export of which its reader takes nothing is cut off. The network takes some megabytes at a time, so this is what the slowest reader needs for so much.',
  ),
  maxLiveReaders: setting(
    'SLUICE_MAX_LIVE_READERS',
    '500',
    integer(1, 1_000_000),
    'Live answers (`messages/live`) that are open at once.',
  ),
  maxLiveReadersPerDomain: setting(
    'SLUICE_MAX_LIVE_READERS_PER_DOMAIN',
    '100',
    integer(1, 1_000_000),
    'Those of one domain.',
  ),
  maxLiveReadersPerClient: setting(
    'SLUICE_MAX_LIVE_READERS_PER_CLIENT',
    '20',
    integer(1, 1_000_000),
    'Those of one client, or of one user.',
  ),
} satisfies Record<string, Setting<unknown>>
