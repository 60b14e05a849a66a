import type { MessageProperties } from '../../platform/bus/properties.ts'
import { DomainError } from '../../platform/errors.ts'
import { markAnswered } from './aedes-broker.ts'
import type { AedesPublish } from './aedes-broker.ts'
import { reasonFor } from './codes.ts'
import type { Peer } from './peer.ts'
import { encodePublishRefusal } from './answers.ts'
import type { Host } from './host.ts'
import { Cursor } from './cursor.ts'
import type { Frame } from './framer.ts'
import { Inbound } from './inbound.ts'
import { readPublish } from './packets.ts'
import { PlainPublishing } from './plain-publish.ts'
import type { Session } from './sessions.ts'

type Done = (error?: Error) => void

/** What one connection publishes: most of it past Aedes, the rest through it, all of it answered in order. */
export class Publications {
  readonly #connection: Peer
  readonly #inbound: Inbound
  readonly #plain: PlainPublishing
  /** Of packets on their way through Aedes, which keeps their order. Those without any have no place here. */
  readonly #properties: MessageProperties[] = []
  /** Packets that Aedes has yet to answer. */
  #unansweredByAedes = 0

  constructor(host: Host, connection: Peer, session: Session) {
    this.#connection = connection
    this.#inbound = createInbound(host, connection, session)
    this.#plain = new PlainPublishing(connection, this.#inbound)
  }

  get isFull(): boolean {
    return this.#plain.isFull
  }

  /** @returns whether the packet was taken, so that Aedes need not see it */
  takePast(frame: Frame): boolean {
    return this.#unansweredByAedes === 0 && this.#plain.take(frame)
  }

  /**
   * A PUBLISH is about to go to Aedes: checks it whole.
   *
   * @throws {ProtocolViolation}
   */
  check({ bytes, body, end, flags }: Frame): void {
    const properties = readPublish(new Cursor(bytes, body, end), flags, this.#connection.version)
    if (properties) this.#properties.push(properties)
  }

  /** Aedes has read a PUBLISH, and answers it when told. */
  take(packet: AedesPublish, done: Done): void {
    if (packet.properties) packet.properties = this.#properties.shift()
    this.#unansweredByAedes += 1
    this.#inbound.take(packet, (error) => {
      this.#unansweredByAedes -= 1
      done(error)
    })
  }

  /** PUBREL: the packet identifier is free again. */
  release(packetId: number): void {
    this.#inbound.release(packetId)
  }

  /** Permissions have changed: everything is asked again. */
  forget(): void {
    this.#inbound.forget()
  }

  /** Resolves when what was taken so far is on the stream or has failed. */
  settled(): Promise<void> {
    return this.#inbound.settled()
  }
}

/** With its refusals told to the client, the log and the counters. */
function createInbound(host: Host, connection: Peer, session: Session): Inbound {
  return new Inbound({
    authority: host.authority,
    publish: host.publish,
    session,
    lookBack: host.lookBack,
    topics: host.limits.topics,
    checkPayload: host.checkPayload,
    receiveMaximum: host.limits.receiveMaximum,
    rate: host.rates?.(`mqtt ${connection.info.transport}`),
    isPatient: connection.version !== 5,
    isClosed: () => connection.isClosed,
    onDelayed: (refusal) => host.refusals.noteError(refusal, connection.facts),
    onStored: (message) => host.onStored(message),
    onLost: (error) => host.onLost(error),
    onBroken: (error) => connection.fail(error),
    onRefused: (error, packet, done) => refuse(host, connection, error, packet, done),
  })
}

function refuse(host: Host, connection: Peer, error: Error, packet: AedesPublish, done: Done): void {
  const code = reasonFor(error, 'publish')
  host.refusals.noteError(error, { code, ...connection.facts })
  if (connection.version !== 5) {
    // Before MQTT 5 there is no answer but the end of the connection.
    connection.close()
    return done(error)
  }
  markAnswered(packet)
  if (packet.qos > 0 && packet.messageId !== undefined) {
    const text = connection.wantsReasons && error instanceof DomainError ? error.message : undefined
    const words = { text, maximumPacketSize: connection.maximumPacketSize }
    connection.send(encodePublishRefusal(packet.qos === 1 ? 1 : 2, packet.messageId, code, words))
  }
  done()
}
