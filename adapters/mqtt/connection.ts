import type { Duplex } from 'node:stream'
import type { Credentials } from '../authority.ts'
import type { Usage } from '../traffic.ts'
import { DomainError, QuotaExceeded } from '../../platform/errors.ts'
import { checkForAedes, checkLength, readOpening } from './guard.ts'
import { openSession } from './handshake.ts'
import {
  announceInConnack,
  handOver,
  keepWill,
  reasonOfAedesError,
  refreshKeepAlive,
  saidGoodbye,
} from './aedes-broker.ts'
import type { AedesClient, AedesPublish } from './aedes-broker.ts'
import { AedesStream } from './aedes-stream.ts'
import { connackReason, ProtocolViolation, protocolError, Reason, reasonFor } from './codes.ts'
import type { ReasonCode } from './codes.ts'
import { Cursor } from './cursor.ts'
import { encodeConnackRefusal, encodeDisconnect } from './answers.ts'
import { Framer } from './framer.ts'
import type { Frame } from './framer.ts'
import type { Host } from './host.ts'
import type { ConnectionInfo, Peer } from './peer.ts'
import { Publications } from './publications.ts'
import { readAck, Type } from './packets.ts'
import type { Connect, Version } from './packets.ts'
import type { Session } from './sessions.ts'
import { subscribe, unsubscribe } from './subscribe.ts'
import { TopicAliases } from './topic-aliases.ts'
import { Wire } from './wire.ts'

/**
 * Bytes of the largest CONNECT: room for a will of some kilobytes, and all that a stranger can make us keep. Other
 * packets are not even looked at before CONNACK.
 */
const MAX_CONNECT_BYTES = 16 * 1024

/** Of CONNACK with all that it may say, but for the identifier that a client is assigned (`handshake.ts`). */
const CONNACK_BYTES = 26
const ASSIGNED_IDENTIFIER_BYTES = 3 + 'auto-'.length + 36

type State = 'waiting' | 'authenticating' | 'accepting' | 'open' | 'closed'

/**
 * One connection, and the guard in front of Aedes: bytes become whole packets here, each checked to its last byte before
 * anything acts on it. Aedes gets CONNECT once the client has shown who it is, then PUBLISH, PUBREL, PINGREQ and
 * DISCONNECT; what concerns subscriptions and deliveries ends here.
 */
export class Connection implements Peer {
  readonly info: ConnectionInfo
  version: Version = 4
  receiveMaximum = 65_535
  maximumPacketSize = Infinity
  aliases: TopicAliases | undefined
  wantsReasons = true
  /** Whether CONNACK says that there was a session. */
  isSessionPresent = false
  session: Session | undefined
  /** Set as soon as the connection claims a session. */
  sessionKey: string | undefined
  /** Kept to ask, after a change, whether they still hold. */
  credentials: Credentials | undefined
  /** Given to a client that came without an identifier; MQTT 5 tells it. */
  assignedIdentifier: string | undefined
  /** Resolves when nothing of the connection is left, its session detached, its will on its way. */
  readonly closed: Promise<void>
  readonly #host: Host
  readonly #stream: Duplex
  readonly #wire: Wire
  readonly #framer = new Framer(MAX_CONNECT_BYTES)
  readonly #connectTimer: NodeJS.Timeout
  #state: State = 'waiting'
  #aedesStream: AedesStream | undefined
  #client: AedesClient | undefined
  /** Made by the first PUBLISH: most connections that are open at any time never publish. */
  #publications: Publications | undefined
  #usage: Usage | undefined
  #keepAliveS = 0
  /** A SUBSCRIBE or UNSUBSCRIBE is being worked on: what follows waits. */
  #isBusy = false
  #isAdvancing = false
  #isEnded = false
  #resolveClosed: () => void = () => undefined

  constructor(host: Host, stream: Duplex, info: ConnectionInfo) {
    this.#host = host
    this.#stream = stream
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
    stream.on('data', this.#onData)
  }

  /** For log lines. */
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

  answerInTurn(bytes: Buffer): void {
    if (this.#aedesStream?.writable) this.#aedesStream.write(bytes)
  }

  /**
   * Ends the connection. Its will is published, unless the client said DISCONNECT.
   *
   * @param reason told to MQTT 5 clients in a DISCONNECT, or to any that wait for it in CONNACK
   * @param text   the same in words, for MQTT 5
   */
  close(reason?: ReasonCode, text?: string): void {
    const state = this.#state
    if (state === 'closed') return
    this.#state = 'closed'
    clearTimeout(this.#connectTimer)
    this.#stream.off('data', this.#onData)
    const wasAccepted = state === 'open' || (state === 'accepting' && this.#aedesStream?.hasWritten === true)
    if (reason !== undefined) {
      const words = { text, maximumPacketSize: this.maximumPacketSize }
      if (wasAccepted && this.version === 5) this.send(encodeDisconnect(reason, words)) // [MQTT-3.14.0-1]
      if (state === 'authenticating') {
        this.send(encodeConnackRefusal(this.version, connackReason(reason), words))
      }
    }
    this.#wire.finish()
    // Aedes hears of it by the `close` of its stream.
    this.#aedesStream?.destroy()
    // After Aedes: it listens to the same event, and what it does there it does at once.
    setImmediate(() => void this.#leave(state === 'open', wasAccepted))
  }

  async #leave(wasOpen: boolean, wasAccepted: boolean): Promise<void> {
    this.#usage?.end()
    const { session } = this
    if (session) {
      const limitS = session.isDurable ? this.#host.limits.sessionExpiryS : 0
      await this.#host.sessions.close(session, {
        expiryS: Math.min(this.#client?.sessionExpiryInterval ?? limitS, limitS),
        // [MQTT-3.14.4-3]; and a connection that never was leaves none.
        isWillDropped: !wasAccepted || saidGoodbye(this.#client),
      })
    }
    this.#host.onClosed(this, { wasOpen, wasAuthenticated: session !== undefined })
    this.#resolveClosed()
  }

  /** Resolves when what the client published is on the stream or has failed. */
  settled(): Promise<void> {
    return this.#publications?.settled() ?? Promise.resolve()
  }

  /** Permissions have changed: publications ask again. */
  forgetGrants(): void {
    this.#publications?.forget()
  }

  /** Closes after something the client must not do, and tells everybody. */
  #refuse(reason: ReasonCode, word: string, detail?: string): void {
    if (this.#state === 'closed') return
    this.#host.refusals.note(word, { code: reason, detail, ...this.facts })
    this.close(reason, detail)
  }

  #fail(error: unknown): void {
    if (error instanceof ProtocolViolation) return this.#refuse(error.reason, error.code, error.message)
    this.#host.refusals.noteError(error, this.facts)
    this.close(error instanceof QuotaExceeded ? Reason.quotaExceeded : Reason.unspecified)
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#framer.append(chunk)
    this.#advance()
  }

  #onRoom(): void {
    if (this.#state === 'open') this.#advance()
  }

  /** The peer sends no more. What it sent before still counts: many publish, say DISCONNECT and are gone. */
  #onEnd(): void {
    this.#isEnded = true
    if (this.#state === 'accepting' || this.#state === 'open') this.#advance()
    else this.close()
  }

  #onStreamClosed(): void {
    if (!this.#isEnded) return this.close()
    // What waited to be written never will be.
    this.#onDrain()
  }

  #onDrain(): void {
    this.#aedesStream?.onDrain()
    if (this.#state !== 'open') return
    this.session?.outbox.pump()
    this.#advance()
  }

  /** Whether the next packet may be looked at now. */
  #mayAdvance(): boolean {
    if (this.#state === 'waiting') return true
    // What a slow reader makes us answer must not pile up either.
    return (
      this.#state === 'open' &&
      !this.#isBusy &&
      !this.#publications?.isFull &&
      !this.isCongested &&
      !!this.#aedesStream?.isHungry
    )
  }

  #advance(): void {
    if (this.#isAdvancing) return
    this.#isAdvancing = true
    try {
      this.#readPackets()
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#isAdvancing = false
    }
    if (this.#state === 'closed') return
    if (!this.#mayAdvance()) this.#stream.pause()
    else if (this.#isEnded) this.close()
    else this.#stream.resume()
  }

  /** Packets for Aedes that follow each other go to it as one piece, as they lie. */
  #readPackets(): void {
    let run: Frame | undefined
    let runEnd = 0
    while (this.#mayAdvance()) {
      const frame = this.#framer.next()
      if (!frame) break
      if (this.#state === 'waiting') return this.#begin(frame)
      if (!run && frame.type === Type.publish && this.#takePast(frame)) continue
      if (this.#handle(frame)) {
        run ??= frame
        runEnd = frame.end
      } else if (run) {
        this.#aedesStream?.push(run.bytes.subarray(run.start, runEnd))
        run = undefined
      }
    }
    if (run) this.#aedesStream?.push(run.bytes.subarray(run.start, runEnd))
  }

  #takePast(frame: Frame): boolean {
    if (!this.#publications?.takePast(frame)) return false
    refreshKeepAlive(this.#client)
    return true
  }

  /** @returns whether the packet is for Aedes */
  #handle(frame: Frame): boolean {
    checkLength(frame, this.version)
    if (frame.type === Type.publish) {
      this.#publishing().check(frame)
      return true
    }
    if (checkForAedes(frame, this.version)) {
      // Nothing may follow DISCONNECT, and mqtt-packet 9.0.2 would read what does as its reason code.
      if (frame.type === Type.disconnect) {
        this.#isBusy = true
        keepWill(frame)
      }
      return true
    }
    const cursor = new Cursor(frame.bytes, frame.body, frame.end)
    switch (frame.type) {
      case Type.puback:
      case Type.pubrec:
      case Type.pubcomp:
        this.#onAck(frame.type, cursor)
        break
      case Type.subscribe:
        this.#isBusy = true
        void this.#work(subscribe(this.#host, this, cursor))
        break
      case Type.unsubscribe:
        this.#isBusy = true
        void this.#work(unsubscribe(this.#host, this, cursor))
        break
      default:
        throw protocolError('CONNECT twice') // [MQTT-3.1.0-2]
    }
    refreshKeepAlive(this.#client)
    return false
  }

  async #work(task: Promise<void>): Promise<void> {
    try {
      await task
    } catch (error) {
      this.#fail(error)
    }
    this.#isBusy = false
    if (this.#state === 'open') this.#advance()
  }

  #onAck(type: number, cursor: Cursor): void {
    const { packetId, reason } = readAck(cursor, this.version)
    const outbox = this.session?.outbox
    // A refusing PUBREC ends the exchange (MQTT 5 section 4.3.3); so do PUBACK and PUBCOMP, whatever they say.
    if (type !== Type.pubrec || reason >= 0x80) outbox?.acknowledge(packetId)
    else outbox?.receive(packetId)
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
    // [MQTT-3.1.2-24]; the largest that Aedes may write.
    const connackBytes = connect.identifier === '' ? CONNACK_BYTES + ASSIGNED_IDENTIFIER_BYTES : CONNACK_BYTES
    if (connackBytes > connect.maximumPacketSize) {
      throw new ProtocolViolation(
        Reason.packetTooLarge,
        'answer_too_large_for_receiver',
        'no room for CONNACK',
      )
    }
    const packet = Buffer.from(frame.bytes.subarray(frame.start, frame.end))
    void this.#connect(connect, packet).catch((error: unknown) => this.#fail(error))
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
    this.#framer.limitBytes = host.limits.maxPacketBytes
    this.#handToAedes(packet)
  }

  #handToAedes(packet: Buffer): void {
    const host = this.#host
    const stream = new AedesStream(this.#wire, () => this.#advance())
    this.#aedesStream = stream
    // Aedes ends a connection by destroying its stream: DISCONNECT came, or something it does not take.
    stream.on('close', () => this.close())
    host.connectionOf.set(stream, this)
    this.#client = handOver(host.broker, stream, (error) => this.#fail(error))
    stream.push(packet)
  }

  /** Aedes has read CONNECT, and asks who this is. */
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

  /** CONNACK is out. */
  onReady(): void {
    if (this.#state !== 'accepting' || !this.session) return
    this.#state = 'open'
    clearTimeout(this.#connectTimer)
    const { principal, subscriptions } = this.session
    this.#usage = this.#host.traffic.begin(principal.id, 'mqtt', () => subscriptions.size)
    this.#host.onOpen(this)
    this.#host.sessions.begin(this.session, this)
    this.#advance()
  }

  onKeepAliveTimeout(): void {
    this.#refuse(Reason.keepAliveTimeout, 'keep_alive_timeout') // [MQTT-3.1.2-22]
  }

  /** Aedes closes the connection over something. Silent when we did: then it is told already. */
  onAedesError(error: Error): void {
    this.#refuse(reasonOfAedesError(error), 'refused_by_broker', error.message)
  }

  /** PUBREL has come, PUBCOMP is about to follow. */
  async onReleased(packetId: number): Promise<void> {
    await this.session?.release(packetId)
    this.#publications?.release(packetId)
  }

  onPublish(packet: AedesPublish, done: (error?: Error) => void): void {
    // Aedes goes on with what it has read after it has closed; the properties of that are not in step any more.
    if (this.isClosed) done(new Error('publication without a connection'))
    else this.#publishing().take(packet, done)
  }

  #publishing(): Publications {
    if (!this.session) throw protocolError('PUBLISH before CONNACK')
    this.#publications ??= new Publications(this.#host, this, this.session, {
      onBroken: (error) => this.#fail(error),
      onRoom: () => this.#onRoom(),
    })
    return this.#publications
  }
}
