// oxlint-disable no-underscore-dangle -- Aedes's inner names, which no other file of ours uses
import type { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import { Aedes } from 'aedes'
import type { AedesOptions, Client } from 'aedes'
import type { MessageProperties } from '../../platform/bus/properties.ts'
import { Reason } from './codes.ts'
import type { ReasonCode } from './codes.ts'
import type { Version } from './packets.ts'

/**
 * All that we lean on in Aedes 2.0.0-beta.1 beyond its typings. A change of its version begins here.
 *
 * What Aedes does for us: the life of a connection from CONNECT to its end (keep alive, will, topic aliases, CONNACK and
 * its properties, session expiry asked for at DISCONNECT), and the acknowledgements of incoming PUBLISH of every QoS. What
 * it does not get to see is in `connection.ts` and `requests.ts`: bytes before a whole, checked packet; anything before authentication;
 * SUBSCRIBE, UNSUBSCRIBE and the acknowledgements of what we deliver.
 */
export interface AedesClient extends Client {
  /** Read by `doConnack`, behind the `authenticate` hook: what CONNACK calls the Assigned Client Identifier. */
  _assignedClientId: string | undefined
  /** Read by `setKeepAlive` and `doConnack`, behind the `authenticate` hook. The option `keepaliveLimit` would do the
   * same for MQTT 5 and refuse older clients outright. */
  _serverKeepAlive: number | undefined
  /** Absent without keep alive. Aedes refreshes it on every packet that it sees, so we do on those that it does not. */
  _keepaliveTimer: NodeJS.Timeout | null
  readonly _parser: AedesParser
  /** Stops listening for the end of the stream. */
  _eos: () => void
  /** Set by a DISCONNECT that does not ask for the will. */
  readonly _disconnected: boolean
}

interface AedesParser {
  readonly client: AedesClient
  /** All packets of one read are parsed and begun in one synchronous call of this, and nowhere else. */
  parse: (this: AedesParser, bytes: Buffer) => number
  /** The whole CONNECT, once it is read, of which mqtt-packet looks at this alone. */
  settings: { readonly protocolVersion: number }
}

/** A PUBLISH in the `authorizePublish` hook. */
export interface AedesPublish {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  readonly messageId?: number
  /** Set behind Aedes's reading, when there are any: it loses the order of user properties. */
  properties?: MessageProperties | undefined
  /** Set by Aedes after it wrote a negative PUBACK or PUBREC; `enqueuePublish` then writes no positive one. We set it
   * when we wrote the negative one, because Aedes knows no reason but 0x87. */
  _notAuthorized?: boolean
}

/** A connection, as Aedes calls it. */
export interface AedesUser {
  /** Its key names the session to Aedes. */
  readonly session: { readonly key: string } | undefined
  /** Aedes has read CONNECT, and is about to set up keep alive and to write CONNACK. */
  onAccepted(client: AedesClient): void
  /** CONNACK is out, the client may send and receive. */
  onReady(): void
  /** Aedes has read all that it was given, so that more may follow; never called from within its reading. */
  onRoom(): void
  /**
   * Ahead of PUBACK and PUBREC, which Aedes writes as soon as `done` is called without an error; QoS 2 has passed no check for
   * duplicates yet. All packets of one read come here in one go, in order, and the next read waits until `done` was called for
   * each. An error closes the connection (before MQTT 5).
   */
  onPublish(packet: AedesPublish, done: (error?: Error) => void): void
  /** PUBREL: the packet identifier of a QoS 2 publication is free again. PUBCOMP follows when it resolves. */
  onReleased(packetId: number): Promise<void>
  onKeepAliveTimeout(): void
  /** Aedes closes the connection over something. */
  onAedesError(error: Error): void
  /** Something was thrown while Aedes handled packets: the connection cannot go on. */
  fail(error: unknown): void
  /** Aedes has closed the connection, or was told to. */
  close(): void
}

/** What Aedes takes for the socket (`aedes-stream.ts`). */
export interface AedesSocket extends EventEmitter {
  readonly user: AedesUser
}

export type AedesBroker = Aedes

/** @param isSessionPresent what CONNACK says of the session, by its key */
export async function createAedesBroker(
  isSessionPresent: (key: string) => boolean,
  options: Pick<
    AedesOptions,
    'maximumPacketSize' | 'receiveMaximum' | 'sessionExpiryIntervalLimit' | 'pendingSessionsLimit'
  >,
): Promise<AedesBroker> {
  const broker = new Aedes({
    ...options,
    topicAliasMaximum: TOPIC_ALIAS_MAXIMUM,
    // Checked for MQTT 3.1 alone, against the namespaced identifier.
    maxClientsIdLength: Number.MAX_SAFE_INTEGER,
    mq: silentEmitter,
    persistence: createPersistence(isSessionPresent),
    preConnect(client, packet, done) {
      // Names the session from here on: Aedes reads it one `setImmediate` later.
      packet.clientId = userOf(client).session?.key ?? ''
      // Wills are ours: they are sent also when this process is not there any more, and delayed ones wait elsewhere.
      delete packet.will
      done(null, true)
    },
    authenticate(client, _username, _password, done) {
      // Done already: Aedes sees no connection that is not authenticated.
      userOf(client).onAccepted(client as AedesClient)
      done(null, true)
    },
    // Asked only for the one subscription that stands for "session present", see `subscriptionsByClient`.
    authorizeSubscribe(_client, _subscription, done) {
      done(null, null)
    },
    authorizePublish(client, packet, done) {
      // `null` only for wills of other brokers, which our persistence never lists.
      if (client) userOf(client).onPublish(packet as unknown as AedesPublish, done)
      else done(new Error('publication without a client'))
    },
  })
  // What is published is on the stream already and comes back from there, to everybody alike; and nobody may subscribe to
  // the `$SYS` topics that Aedes keeps.
  broker.publish = (_packet: unknown, client: unknown, done?: unknown) => {
    const callback = typeof client === 'function' ? client : done
    if (typeof callback === 'function') callback()
  }
  broker.on('clientReady', (client) => {
    forgetConnect(client as AedesClient)
    userOf(client).onReady()
  })
  broker.on('keepaliveTimeout', (client) => userOf(client).onKeepAliveTimeout())
  broker.on('clientError', (client, error) => userOf(client).onAedesError(error))
  broker.on('connectionError', (client, error) => userOf(client).onAedesError(error))
  await broker.listen()
  return broker
}

const userOf = ({ conn }: Client): AedesUser => (conn as unknown as AedesSocket).user

/** Hands a connection to Aedes. */
export function handOver(broker: AedesBroker, socket: AedesSocket): AedesClient {
  // All that it uses of a stream is there.
  const client = broker.handle(socket as unknown as Duplex) as AedesClient
  // It listens in ten ways for the end of any stream; ours has one, and tells it.
  client._eos()
  client._eos = doNothing
  client._parser.parse = parseOrFail
  return client
}

const doNothing = (): void => undefined

/**
 * What is thrown while packets are handled would end the process, since Aedes handles them in an event of the stream or in
 * callbacks of its own.
 */
function parseOrFail(this: AedesParser, bytes: Buffer): number {
  try {
    return (Object.getPrototypeOf(this) as AedesParser).parse.call(this, bytes)
  } catch (error) {
    userOf(this.client).fail(error)
    return 0
  }
}

const SETTINGS: Record<Version, { readonly protocolVersion: number }> = {
  3: Object.freeze({ protocolVersion: 3 }),
  4: Object.freeze({ protocolVersion: 4 }),
  5: Object.freeze({ protocolVersion: 5 }),
}

/** The parser would keep CONNECT as long as the connection is there: the password, and the bytes that it came in. */
function forgetConnect({ _parser: parser, version }: AedesClient): void {
  parser.settings = SETTINGS[version as Version]
}

/** An `error` event without a listener would end the process; Aedes emits it, and its typings do not know. */
export function listenForErrors(broker: AedesBroker, listener: (error: unknown) => void): void {
  const emitter: EventEmitter = broker
  emitter.on('error', listener)
}

/** Ahead of CONNACK, in the `accepted` hook: what it says of these two (MQTT 5). */
export function announceInConnack(
  client: AedesClient,
  values: { assignedIdentifier: string | undefined; serverKeepAliveS: number | undefined },
): void {
  client._assignedClientId = values.assignedIdentifier
  client._serverKeepAlive = values.serverKeepAliveS
}

const CONNACK = 0x20
const SHARED_SUBSCRIPTION_AVAILABLE = 0x2a

/**
 * Aedes tells every MQTT 5 client that there are no shared subscriptions, as the first property of CONNACK
 * (`connackProperties` in its `handlers/connect.js`), and has no option for it. There are (`shared.ts`).
 *
 * @param first the first packet that Aedes writes; changed in place
 */
export function offerSharedSubscriptions(first: Buffer): Buffer {
  if (first[0] !== CONNACK) return first
  let at = 1
  while ((first[at] ?? 0) >= 0x80) at += 1
  // Behind the remaining length: flags, reason code.
  at += 3
  while ((first[at] ?? 0) >= 0x80) at += 1
  // Behind the length of the properties.
  at += 1
  if (first[at] === SHARED_SUBSCRIPTION_AVAILABLE) first[at + 1] = 1
  return first
}

/** A packet came that Aedes does not see: the client is alive. */
export function refreshKeepAlive(client: AedesClient | undefined): void {
  client?._keepaliveTimer?.refresh()
}

/**
 * DISCONNECT of MQTT 5: the will is forgotten over reason code 0x00 alone [MQTT-3.14.4-3] [MQTT-3.1.2-8]. Aedes forgets it
 * over every reason but 0x04, so it reads that one in place of the others.
 */
export function keepWill({ bytes, body, end }: { bytes: Buffer; body: number; end: number }): void {
  if (end > body && bytes[body] !== Reason.success) bytes[body] = DISCONNECT_WITH_WILL
}

const DISCONNECT_WITH_WILL = 0x04

/** Whether the client said DISCONNECT in a way that drops its will [MQTT-3.14.4-3]. */
export function saidGoodbye(client: AedesClient | undefined): boolean {
  return client?._disconnected === true
}

/** The publication is refused and answered: Aedes goes on as if it had refused it itself. */
export function markAnswered(packet: AedesPublish): void {
  packet._notAuthorized = true
}

/** Whether {@link markAnswered} was called for it. */
export function isAnswered({ _notAuthorized: isAnswered = false }: AedesPublish): boolean {
  return isAnswered
}

/** Aedes tells its reasons for closing a connection in words alone. */
export function reasonOfAedesError({ message }: Error): ReasonCode {
  if (message.includes('topic alias')) return Reason.topicAliasInvalid // [MQTT-3.3.2-9]
  if (message.includes('PUBLISH') || message.includes('levels')) return Reason.topicNameInvalid // [MQTT-3.3.2-2]
  return Reason.protocolError
}

/** Topics a client may abbreviate on one connection; kept by Aedes in a map of that size. */
const TOPIC_ALIAS_MAXIMUM = 32

/** Stands where Aedes would deliver. Aedes subscribes to heartbeats of other brokers here; there are none. */
const silentEmitter = {
  on(_topic: string, _listener: unknown, done?: () => void): void {
    if (done) setImmediate(done)
  },
  removeListener(_topic: string, _listener: unknown, done?: () => void): void {
    if (done) setImmediate(done)
  },
  emit(_packet: unknown, done?: () => void): void {
    if (done) setImmediate(done)
  },
  close(done?: () => void): void {
    if (done) setImmediate(done)
  },
}

/**
 * Aedes's persistence interface, answering from our sessions. Nothing here ever rejects: Aedes leaves the rejection of
 * `incomingDelPacket` unhandled (two PUBREL for one packet in one read end the process with "no such packet" when the
 * persistence is `aedes-persistence`), and `outgoingUpdate` closes the connection with it.
 */
function createPersistence(isSessionPresent: (key: string) => boolean): object {
  const nothing = async (): Promise<void> => undefined
  // Any iterable will do for `pipeline`, and a stream for each CONNECT costs more than the rest of it.
  const noStream = (): [] => []
  return {
    // Aedes insists on an async function.
    async setup(): Promise<void> {},
    /**
     * Aedes tells "session present" by whether a session has subscriptions, and a session may have none. So the answer is
     * yes or no, in the form of one subscription, which `authorizeSubscribe` above refuses to make.
     */
    async subscriptionsByClient({ id }: { id: string }): Promise<object[]> {
      return isSessionPresent(id) ? [{ topic: 'present', qos: 0 }] : []
    },
    // Found: so Aedes answers with PUBREC and does no more. `onPublish` knows what is a duplicate.
    incomingGetPacket: async () => ({}),
    incomingStorePacket: nothing,
    async incomingDelPacket(client: AedesClient, { messageId }: { messageId: number }): Promise<void> {
      await userOf(client).onReleased(messageId)
    },
    addSubscriptions: nothing,
    removeSubscriptions: nothing,
    cleanSubscriptions: nothing,
    storeRetained: nothing,
    outgoingUpdate: nothing,
    outgoingClearMessageId: nothing,
    outgoingEnqueue: nothing,
    outgoingStream: noStream,
    putWill: nothing,
    delWill: nothing,
    streamWill: noStream,
    destroy: nothing,
  }
}
