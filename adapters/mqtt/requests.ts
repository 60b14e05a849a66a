import { keepWill } from './aedes-broker.ts'
import type { AedesPublish } from './aedes-broker.ts'
import { protocolError } from './codes.ts'
import { Cursor } from './cursor.ts'
import type { Frame } from './framer.ts'
import { checkForAedes, checkLength } from './guard.ts'
import type { Host } from './host.ts'
import { readAck, Type } from './packets.ts'
import type { Peer } from './peer.ts'
import { Publications } from './publications.ts'
import type { Session } from './sessions.ts'
import { subscribe, unsubscribe } from './subscribe.ts'

/**
 * What a client that is let in sends, each packet checked to its last byte and handed to whom it concerns. Aedes gets PUBLISH,
 * PUBREL, PINGREQ and DISCONNECT; what concerns subscriptions and deliveries ends here.
 */
export class Requests {
  readonly #host: Host
  readonly #connection: Peer
  readonly #session: Session
  /** Made by the first PUBLISH: most connections that are open at any time never publish. */
  #publications: Publications | undefined
  /** A SUBSCRIBE or UNSUBSCRIBE is being worked on: what follows waits. */
  #isBusy = false

  constructor(host: Host, connection: Peer, session: Session) {
    this.#host = host
    this.#connection = connection
    this.#session = session
  }

  /** Whether what follows has to wait. */
  get isBusy(): boolean {
    return this.#isBusy || this.#publications?.isFull === true
  }

  /**
   * @param isBehindOthers packets for Aedes lie ahead of it
   * @returns whether the packet is for Aedes
   * @throws {ProtocolViolation}
   */
  take(frame: Frame, isBehindOthers: boolean): boolean {
    const { version } = this.#connection
    if (!isBehindOthers && frame.type === Type.publish && this.#publications?.takePast(frame)) return false
    checkLength(frame, version)
    if (frame.type === Type.publish) {
      this.#publishing().check(frame)
      return true
    }
    if (checkForAedes(frame, version, this.#mayOutlive)) {
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
        void this.#work(subscribe(this.#host, this.#connection, cursor))
        break
      case Type.unsubscribe:
        void this.#work(unsubscribe(this.#host, this.#connection, cursor))
        break
      default:
        throw protocolError('CONNECT twice') // [MQTT-3.1.0-2]
    }
    return false
  }

  /** Whether the client asked for a session that outlives the connection, granted or not. */
  get #mayOutlive(): boolean {
    return this.#session.record.expiryS !== 0 || this.#host.limits.sessionExpiryS === 0
  }

  async #work(task: Promise<void>): Promise<void> {
    this.#isBusy = true
    try {
      await task
    } catch (error) {
      this.#connection.fail(error)
    }
    this.#isBusy = false
    this.#connection.onRoom()
  }

  #onAck(type: number, cursor: Cursor): void {
    const { packetId, reason } = readAck(cursor, this.#connection.version)
    const { outbox } = this.#session
    // A refusing PUBREC ends the exchange (MQTT 5 section 4.3.3); so do PUBACK and PUBCOMP, whatever they say.
    if (type !== Type.pubrec || reason >= 0x80) outbox.acknowledge(packetId)
    else outbox.receive(packetId)
  }

  /** Aedes has read a PUBLISH, and answers it when told. */
  publish(packet: AedesPublish, done: (error?: Error) => void): void {
    this.#publishing().take(packet, done)
  }

  #publishing(): Publications {
    this.#publications ??= new Publications(this.#host, this.#connection, this.#session)
    return this.#publications
  }

  /** PUBREL has come, PUBCOMP is about to follow. */
  async release(packetId: number): Promise<void> {
    await this.#session.release(packetId)
    this.#publications?.release(packetId)
  }

  /** Permissions have changed: publications ask again. */
  forgetGrants(): void {
    this.#publications?.forget()
  }

  /** Resolves when what the client published is on the stream or has failed. */
  settled(): Promise<void> {
    return this.#publications?.settled() ?? Promise.resolve()
  }
}
