import type { Duplex } from 'node:stream'
import type { Credentials } from '../authority.ts'
import type { Usage } from '../traffic.ts'
import { DomainError, QuotaExceeded } from '../../platform/errors.ts'
import { readOpening } from './guard.ts'
import { openSession } from './handshake.ts'
import {
  announceInConnack,
  handOver,
  reasonOfAedesError,
  refreshKeepAlive,
  saidGoodbye,
} from './aedes-broker.ts'
import type { AedesClient, AedesPublish } from './aedes-broker.ts'
import { AedesStream } from './aedes-stream.ts'
import { ProtocolViolation, Reason, reasonFor } from './codes.ts'
import type { ReasonCode } from './codes.ts'
import { encodeConnackRefusal, encodeDisconnect } from './answers.ts'
import type { Frame } from './framer.ts'
import type { Host } from './host.ts'
import { Intake } from './intake.ts'
import type { Taker } from './intake.ts'
import type { ConnectionInfo, Peer } from './peer.ts'
import type { Version } from './packets.ts'
import type { Connect } from './connect-packet.ts'
import { Requests } from './requests.ts'
import type { Session } from './sessions.ts'
import { TopicAliases } from './topic-aliases.ts'
import { Wire } from './wire.ts'

/**
 * Bytes of the largest CONNECT: room for a will of some kilobytes, and all that a stranger can make us keep. Other
 * packets are not even looked at before CONNACK.
 */
const MAX_CONNECT_BYTES = 16 * 1024

type State = 'waiting' | 'authenticating' | 'accepting' | 'open' | 'closed'

/**
 * One connection, from its first byte to its end: who it is, what was agreed at CONNECT, and what state it is in. Aedes gets
 * CONNECT once the client has shown who it is, and then the packets that are for it (`requests.ts`).
 */
export class Connection implements Peer, Taker {
  readonly info: ConnectionInfo
  version: Version = 4
  receiveMaximum = 65_535
  maximumPacketSize = Infinity
  aliases: TopicAliases | undefined
  wantsReasons = true
  isSessionPresent = false
  session: Session | undefined
  sessionKey: string | undefined
  credentials: Credentials | undefined
  assignedIdentifier: string | undefined
  readonly closed: Promise<void>
  readonly #host: Host
  readonly #wire: Wire
  readonly #intake: Intake
  /** Until the client is let in. */
  #connectTimer: NodeJS.Timeout | undefined
  #state: State = 'waiting'
  #aedesStream: AedesStream | undefined
  #client: AedesClient | undefined
  /** Of a client that has shown who it is. */
  #requests: Requests | undefined
  #usage: Usage | undefined
  #keepAliveS = 0
  #resolveClosed: () => void = () => undefined

  constructor(host: Host, stream: Duplex, info: ConnectionInfo) {
    this.#host = host
    this.info = info
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
    this.#wire = new Wire(stream, () => this.#onDrain())
    this.#connectTimer = setTimeout(() => {
      this.#refuse(Reason.maximumConnectTime, 'connect_timeout')
    }, host.limits.connectTimeoutMs)
    // `close` follows every error; without a listener the error would be thrown.
    stream.on('error', () => undefined)
    stream.on('end', () => this.#onEnd())
    stream.on('close', () => this.#onStreamClosed())
    this.#intake = new Intake(stream, this, MAX_CONNECT_BYTES)
  }

  get facts(): { address: string; clientId: string | undefined } {
    return { address: this.info.remoteAddress, clientId: this.session?.principal.id }
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  get isCongested(): boolean {
    return this.#wire.isCongested
  }

  send(bytes: Buffer): void {
    this.#wire.send(bytes)
  }

  onDelivered(): void {
    if (this.#usage) this.#usage.client.delivered += 1
  }

  answer(bytes: Buffer): void {
    if (bytes.length <= this.maximumPacketSize) return this.send(bytes)
    this.#refuse(Reason.packetTooLarge, 'answer_too_large_for_receiver') // [MQTT-3.1.2-24]
  }

  close(reason?: ReasonCode, text?: string): void {
    const state = this.#state
    if (state === 'closed') return
    this.#state = 'closed'
    clearTimeout(this.#connectTimer)
    this.#intake.stop()
    const wasAccepted = state === 'open' || (state === 'accepting' && this.#aedesStream?.hasWritten === true)
    if (reason !== undefined) {
      const words = { text, maximumPacketSize: this.maximumPacketSize }
      if (wasAccepted && this.version === 5) this.send(encodeDisconnect(reason, words)) // [MQTT-3.14.0-1]
      // Aedes has not said anything yet, and will not any more.
      if (state === 'authenticating' || (state === 'accepting' && !wasAccepted)) {
        this.send(encodeConnackRefusal(this.version, reason, words))
      }
    }
    this.#wire.finish()
    this.#aedesStream?.destroy()
    // After Aedes, which hears of it at the end of this tick.
    setImmediate(() => void this.#leave(state === 'open', wasAccepted))
  }

  async #leave(wasOpen: boolean, wasAccepted: boolean): Promise<void> {
    this.#usage?.end()
    const { session } = this
    if (session) {
      const limitS = session.isDurable ? this.#host.limits.sessionExpiryS : 0
      const end = {
        expiryS: Math.min(this.#client?.sessionExpiryInterval ?? limitS, limitS),
        isWillDropped: saidGoodbye(this.#client), // [MQTT-3.14.4-3]
      }
      // A connection that never was leaves no will, and the session as it was.
      await this.#host.sessions.close(session, wasAccepted ? end : undefined)
    }
    this.#host.onClosed(this, { wasOpen, wasAuthenticated: session !== undefined })
    this.#resolveClosed()
  }

  settled(): Promise<void> {
    return this.#requests?.settled() ?? Promise.resolve()
  }

  forgetGrants(): void {
    this.#requests?.forgetGrants()
  }

  /** Closes after something the client must not do, and tells everybody. */
  #refuse(reason: ReasonCode, word: string, detail?: string): void {
    if (this.#state === 'closed') return
    this.#host.refusals.note(word, { code: reason, detail, ...this.facts })
    this.close(reason, detail)
  }

  fail(error: unknown): void {
    if (error instanceof ProtocolViolation) return this.#refuse(error.reason, error.code, error.message)
    this.#host.refusals.noteError(error, this.facts)
    this.close(error instanceof QuotaExceeded ? Reason.quotaExceeded : Reason.unspecified)
  }

  #onEnd(): void {
    if (this.#state === 'waiting' || this.#state === 'authenticating') this.close()
    else this.#intake.end()
  }

  #onStreamClosed(): void {
    if (!this.#intake.isEnded) return this.close()
    // What waited to be written never will be.
    this.#onDrain()
  }

  #onDrain(): void {
    if (this.#state !== 'open') return
    this.session?.outbox.pump()
    this.#intake.advance()
  }

  onRoom(): void {
    if (this.#state === 'open') this.#intake.advance()
  }

  get isReady(): boolean {
    if (this.#state === 'waiting') return true
    // What a slow reader makes us answer must not pile up either.
    return (
      this.#state === 'open' &&
      !this.#requests?.isBusy &&
      !this.isCongested &&
      this.#aedesStream?.isHungry === true
    )
  }

  take(frame: Frame, isBehindOthers: boolean): boolean {
    if (!this.#requests) {
      this.#begin(frame)
      return false
    }
    const isForAedes = this.#requests.take(frame, isBehindOthers)
    // Aedes does so for what it sees.
    if (!isForAedes) refreshKeepAlive(this.#client)
    return isForAedes
  }

  pass(packets: Buffer): void {
    this.#aedesStream?.push(packets)
  }

  /** The first packet. */
  #begin(frame: Frame): void {
    const opening = readOpening(frame)
    this.version = opening.version
    if ('violation' in opening) {
      if (opening.hasAnswer) this.#state = 'authenticating'
      throw opening.violation
    }
    this.#state = 'authenticating'
    // Over TLS it was asked before the handshake.
    if (!this.info.isAdmitted && !this.#host.admitConnect(this.info)) {
      return this.close(Reason.connectionRateExceeded)
    }
    const { connect } = opening
    this.receiveMaximum = connect.receiveMaximum
    this.maximumPacketSize = connect.maximumPacketSize
    if (connect.topicAliasMaximum > 0) this.aliases = new TopicAliases(connect.topicAliasMaximum)
    this.wantsReasons = connect.wantsReasons
    this.#keepAliveS = connect.keepAliveS
    const packet = Buffer.from(frame.bytes.subarray(frame.start, frame.end))
    void this.#connect(connect, packet).catch((error: unknown) => this.fail(error))
  }

  async #connect(connect: Connect, packet: Buffer): Promise<void> {
    const host = this.#host
    try {
      this.session = await openSession(host, this, connect)
    } catch (error) {
      const code = reasonFor(error, 'connect')
      if (!this.isClosed) host.refusals.noteError(error, { code, ...this.facts })
      return this.close(code, error instanceof DomainError ? error.message : undefined)
    }
    if (!this.session) return
    this.#state = 'accepting'
    this.info.onAuthenticated?.()
    host.onAuthenticated(this)
    this.#intake.limit(host.limits.maxPacketBytes)
    this.#requests = new Requests(host, this, this.session)
    const stream = new AedesStream(this, this.#wire)
    this.#aedesStream = stream
    this.#client = handOver(host.broker, stream)
    stream.push(packet)
  }

  onAccepted(client: AedesClient): void {
    if (this.version !== 5) return
    const { maxKeepAliveS } = this.#host.limits
    const isOver = this.#keepAliveS === 0 || this.#keepAliveS > maxKeepAliveS
    announceInConnack(client, {
      assignedIdentifier: this.assignedIdentifier, // [MQTT-3.1.3-6]
      // [MQTT-3.2.2-21]; older clients cannot be told, and keep what they ask for.
      serverKeepAliveS: isOver ? maxKeepAliveS : undefined,
    })
  }

  onReady(): void {
    if (this.#state !== 'accepting' || !this.session) return
    this.#state = 'open'
    clearTimeout(this.#connectTimer)
    this.#connectTimer = undefined
    const { principal, subscriptions } = this.session
    this.#usage = this.#host.traffic.begin(principal.id, 'mqtt', () => subscriptions.size)
    this.#host.onOpen(this)
    this.#host.sessions.begin(this.session, this)
    this.#intake.advance()
  }

  onKeepAliveTimeout(): void {
    this.#refuse(Reason.keepAliveTimeout, 'keep_alive_timeout') // [MQTT-3.1.2-22]
  }

  /** Silent when we closed it: then it is told already. */
  onAedesError(error: Error): void {
    this.#refuse(reasonOfAedesError(error), 'refused_by_broker', error.message)
  }

  async onReleased(packetId: number): Promise<void> {
    await this.#requests?.release(packetId)
  }

  onPublish(packet: AedesPublish, done: (error?: Error) => void): void {
    // Aedes goes on with what it has read after it has closed; the properties of that are not in step any more.
    if (this.isClosed || !this.#requests) done(new Error('publication without a connection'))
    else this.#requests.publish(packet, done)
  }
}
