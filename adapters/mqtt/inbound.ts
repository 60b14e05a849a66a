import { isUtf8 } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import { nowNs } from '../../platform/bus/message.ts'
import type { Message } from '../../platform/bus/message.ts'
import { isOverLimit, MAX_PROPERTY_BYTES } from '../../platform/bus/properties.ts'
import { messageSubject } from '../../platform/bus/subject.ts'
import type { MessageAddress } from '../../platform/bus/subject.ts'
import { InvalidInput, TooLarge } from '../../platform/errors.ts'
import type { DomainError, RateLimited } from '../../platform/errors.ts'
import type { Authority } from '../authority.ts'
import { SENML_TYPES } from '../content-type.ts'
import type { Publish } from '../publish.ts'
import type { MessageRate } from '../rates.ts'
import type { TopicLimits } from '../topics.ts'
import type { AedesPublish } from './aedes-broker.ts'
import { ProtocolViolation, Reason } from './codes.ts'
import { KnownTopics } from './known-topics.ts'
import type { LookBack } from './look-back.ts'
import { facetsOf } from './message-properties.ts'
import type { Receipt, Session } from './sessions.ts'
import { waitForTurn } from './turn.ts'

type Done = (error?: Error) => void

/** Looks into a payload that says it is SenML. @returns what is wrong with it */
export type CheckPayload = (contentType: string, payload: Uint8Array) => DomainError | undefined

export interface InboundOptions {
  readonly authority: Authority
  readonly publish: Publish
  readonly session: Session
  readonly lookBack: LookBack
  readonly checkPayload: CheckPayload
  /** Publications that may be under way: QoS 1 and 2 from a client that is told so, from others QoS 2 alone. */
  readonly receiveMaximum: number
  readonly topics: TopicLimits
  /** What the connection's listener may take; everything when not given. */
  readonly rate?: MessageRate | undefined
  /** The protocol has no answer for one message too many: what waits for an acknowledgement waits for its turn then. */
  readonly isPatient: boolean
  readonly isClosed: () => boolean
  /** A message waits for its turn. */
  onDelayed(refusal: Error): void
  /** The message is on the stream. */
  onStored(message: Message): void
  /** A QoS 0 message is not on the stream, and nobody waits to hear it. */
  onLost(error: Error): void
  /** Something is wrong with us, not with the publication: the connection cannot go on. */
  readonly onBroken: (error: unknown) => void
  /** Answers a publication that was refused or could not be stored, and calls `done`. */
  onRefused(error: Error, packet: AedesPublish, done: Done): void
}

/** A publication of QoS 1 or 2, or one that was refused, in line for its answer. */
interface Entry {
  readonly packet: AedesPublish
  readonly message: Message | undefined
  readonly done: Done
  isSettled: boolean
  error: Error | undefined
}

/** QoS 0 messages of one connection that may be on their way to the stream while the next ones are read. */
const MAX_UNANSWERED = 256
/** Larger ones are waited for, each: with the number above this bounds the bytes. */
const MAX_UNANSWERED_BYTES = 4 * 1024

/** The health topic: taken from anybody who is signed in, and kept nowhere (api.md 13). */
const HEALTH = /^\/?hc\/[^/]+$/

/**
 * The publishing side of one connection: in order, onto the stream, answered in order.
 *
 * A topic that was used before goes to the stream at once; a new one waits for the authority, and what came behind it waits
 * too, so that order holds. Aedes reads on only when all of one read are answered, which is the backpressure.
 */
export class Inbound {
  readonly #options: InboundOptions
  readonly #topics: KnownTopics
  readonly #lookups: { packet: AedesPublish; done: Done }[] = []
  readonly #line: Entry[] = []
  readonly #held: Done[] = []
  readonly #onIdle: (() => void)[] = []
  #unanswered = 0
  #unansweredQos1 = 0
  /** Packet identifiers of QoS 2 from PUBLISH to PUBREL, of this connection. */
  readonly #unreleased = new Set<number>()

  constructor(options: InboundOptions) {
    this.#options = options
    const { authority, session, topics } = options
    this.#topics = new KnownTopics(authority, session.principal, topics)
  }

  /** Asks the authority again for everything from now on. */
  forget(): void {
    this.#topics.forget()
  }

  /** Resolves when everything taken so far is answered or given up. */
  settled(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve()
    return new Promise((resolve) => this.#onIdle.push(resolve))
  }

  #isIdle(): boolean {
    return this.#lookups.length === 0 && this.#line.length === 0 && this.#unanswered === 0
  }

  #tellIdle(): void {
    if (this.#onIdle.length === 0 || !this.#isIdle()) return
    for (const resolve of this.#onIdle.splice(0)) resolve()
  }

  /** Whether the topic was found to be one that the client may publish on, and is plain ASCII. */
  knows(topic: string): boolean {
    return this.#topics.get(topic)?.isAscii === true
  }

  take(packet: AedesPublish, done: Done): void {
    if (packet.qos === 1) this.#unansweredQos1 += 1
    else if (packet.qos === 2 && packet.messageId !== undefined) this.#unreleased.add(packet.messageId)
    if (this.#isOverMaximum(packet)) {
      const text = `more than ${this.#options.receiveMaximum} publications are under way`
      this.#break(new ProtocolViolation(Reason.receiveMaximumExceeded, 'receive_maximum_exceeded', text))
      return
    }
    if (this.#lookups.length === 0) {
      const address = this.#topics.get(packet.topic)
      if (address && !this.#delayOf(address, packet) && !this.#mustLookBack(packet)) {
        return this.#store(address, packet, done)
      }
    }
    this.#lookups.push({ packet, done })
    if (this.#lookups.length === 1) this.#resolveAll().catch((error: unknown) => this.#break(error))
  }

  /** Whether a publication, counted already, is one more than may be under way. */
  #isOverMaximum({ qos, messageId = 0 }: AedesPublish): boolean {
    const { isPatient, receiveMaximum, session } = this.#options
    if (!isPatient) return this.#unansweredQos1 + this.#unreleased.size > receiveMaximum
    // A session that is kept: all of them are written down each time, those of earlier connections too. The same again is not
    // one more. No pause instead: PUBREL comes behind what would have to wait for it. Others cost a number each, and their
    // clients, which know of no such bound, send a thousand and more at once.
    if (qos < 2 || !session.isDurable || session.receipts.has(messageId)) return false
    return session.receipts.size >= receiveMaximum || this.#unreleased.size > receiveMaximum
  }

  /** PUBREL: the packet identifier is free again. */
  release(packetId: number): void {
    this.#unreleased.delete(packetId)
  }

  /** Gives up what waits, so that nobody waits for it for ever. */
  #break(error: unknown): void {
    this.#lookups.length = 0
    this.#options.onBroken(error)
    this.#tellIdle()
  }

  async #resolveAll(): Promise<void> {
    for (let next = this.#lookups[0]; next; next = this.#lookups[0]) {
      let error: Error | undefined
      let address: MessageAddress | undefined
      try {
        address = await this.#admit(next.packet)
      } catch (thrown) {
        error = thrown instanceof Error ? thrown : new Error(String(thrown))
      }
      const { packet, done } = next
      if (address) this.#store(address, packet, done)
      else this.#enqueue({ packet, message: undefined, done, isSettled: true, error })
      this.#lookups.shift()
      this.#tellIdle()
    }
  }

  /** Where the packet goes, now that it is its turn. @returns `undefined` for what is taken and kept nowhere */
  async #admit(packet: AedesPublish): Promise<MessageAddress | undefined> {
    for (;;) {
      const address = this.#topics.get(packet.topic) ?? (await this.#resolve(packet.topic))
      const delay = address && this.#delayOf(address, packet)
      if (!delay) {
        if (address && this.#mustLookBack(packet)) await this.#lookBack(address, packet)
        return address
      }
      this.#options.onDelayed(delay)
      // Nothing more is read from the connection meanwhile: its sender is slowed down, and loses nothing. What it may do can
      // change in that time, so it is asked again.
      await waitForTurn(() => this.#delayOf(address, packet), this.#options.isClosed)
    }
  }

  /** Whether it has to be found out first what the stream has. */
  #mustLookBack({ qos, messageId: packetId }: AedesPublish): boolean {
    const { session, lookBack } = this.#options
    if (qos !== 2 || packetId === undefined || !session.isDurable) return false
    const receipt = session.receipts.get(packetId)
    return receipt ? !receipt.isAccepted && !receipt.isAsked : lookBack.place === undefined
  }

  async #lookBack(address: MessageAddress, { messageId: packetId = 0 }: AedesPublish): Promise<void> {
    const { session, lookBack } = this.#options
    const receipt = session.receipts.get(packetId)
    if (receipt?.messageId === undefined) return lookBack.findPlace()
    receipt.storedAt = await lookBack.find(session, messageSubject(address), receipt.messageId)
  }

  /** Why the message has to wait for its turn, if it has to. */
  #delayOf({ domainId }: MessageAddress, { qos }: AedesPublish): RateLimited | undefined {
    const { rate, isPatient, session } = this.#options
    if (!rate || !isPatient || qos === 0) return undefined
    return rate.refusalOf({ publisher: session.principal.id, domainId })
  }

  /** @returns `undefined` for what is taken and kept nowhere */
  async #resolve(text: string): Promise<MessageAddress | undefined> {
    if (HEALTH.test(text)) return undefined
    return this.#topics.resolve(text)
  }

  #store(address: MessageAddress, packet: AedesPublish, done: Done): void {
    const { session } = this.#options
    const { contentType, properties } = facetsOf(packet.properties, session.origin)
    const message: Message = {
      domainId: address.domainId,
      channelId: address.channelId,
      levels: address.levels,
      publisher: session.principal.id,
      protocol: 'mqtt',
      contentType,
      receivedAtNs: nowNs(),
      payload: packet.payload,
      qos: packet.qos,
      retain: packet.retain,
      properties,
    }
    const refusal = this.#options.rate?.admit(message)
    // "At most once", and no reason to end the connection.
    if (refusal && packet.qos === 0) {
      this.#options.onLost(refusal)
      return done()
    }
    const flaw = refusal ?? this.#findFlaw(message)
    if (flaw) {
      this.#enqueue({ packet, message: undefined, done, isSettled: true, error: flaw })
    } else if (packet.qos === 0) this.#storeAtMostOnce(message, done)
    else if (packet.qos === 2 && packet.messageId !== undefined) {
      this.#storeExactlyOnce(message, packet.messageId, packet, done)
    } else {
      const entry = this.#enqueue({ packet, message, done, isSettled: false, error: undefined })
      this.#options.publish(message, (error) => this.#settle(entry, error))
    }
  }

  #findFlaw({ contentType, properties, payload }: Message): Error | undefined {
    if (properties && isOverLimit(properties)) return new TooLarge(MAX_PROPERTY_BYTES, 'properties')
    if (properties?.payloadFormat === 1 && !isUtf8(payload))
      return new InvalidInput('payload is not the text in UTF-8 that it says it is')
    return SENML_TYPES.has(contentType) ? this.#options.checkPayload(contentType, payload) : undefined
  }

  /** Not waited for, up to a bound. */
  #storeAtMostOnce(message: Message, done: Done): void {
    const { publish } = this.#options
    if (message.retain || message.payload.length > MAX_UNANSWERED_BYTES) {
      this.#unanswered += 1
      publish(message, (error) => {
        done()
        this.#answered(message, error)
      })
      return
    }
    this.#unanswered += 1
    publish(message, (error) => this.#answered(message, error))
    if (this.#unanswered <= MAX_UNANSWERED) done()
    else this.#held.push(done)
  }

  #answered(message: Message, error: Error | undefined): void {
    this.#unanswered -= 1
    if (error) this.#options.onLost(error)
    else this.#options.onStored(message)
    this.#held.shift()?.()
    this.#tellIdle()
  }

  #storeExactlyOnce(message: Message, packetId: number, packet: AedesPublish, done: Done): void {
    const { session, publish, lookBack } = this.#options
    const { receipts } = session
    const entry: Entry = { packet, message: undefined, done, isSettled: false, error: undefined }
    const earlier = receipts.get(packetId)
    if (earlier?.isAccepted || earlier?.isAsked) {
      this.#enqueue(entry)
      // The same again [MQTT-4.3.3-10]: PUBREC as for the first, and nothing onto the stream.
      if (earlier.isAccepted) this.#settle(entry, undefined)
      else earlier.waiting.push((error) => this.#settle(entry, error))
      return
    }
    const receipt = earlier ?? newReceipt(session.isDurable, lookBack.place ?? 0)
    receipt.isAsked = true
    receipts.set(packetId, receipt)
    const first = this.#enqueue({ ...entry, message })
    const settle = (error?: Error): void => {
      receipt.isAccepted = error === undefined
      if (session.isDurable) session.ledger.touch()
      this.#settle(first, error)
      for (const again of receipt.waiting.splice(0)) again(error)
    }
    const { messageId, storedAt } = receipt
    const send = (): void => publish({ ...message, messageId, storedAt }, settle)
    // One found in the session, and not on the stream, is perhaps still on its way there from a process that is gone: the
    // stream takes the same again for the same.
    if (earlier || !session.isDurable) send()
    else session.ledger.commit((error) => (error ? settle(error) : send()))
  }

  #enqueue(entry: Entry): Entry {
    this.#line.push(entry)
    if (entry.isSettled) this.#answer()
    return entry
  }

  #settle(entry: Entry, error: Error | undefined): void {
    entry.isSettled = true
    entry.error = error
    this.#answer()
  }

  /** Acknowledges in the order of arrival [MQTT-4.6.0-2] [MQTT-4.6.0-3], whatever order the stream answers in. */
  #answer(): void {
    for (let entry = this.#line[0]; entry?.isSettled; entry = this.#line[0]) {
      this.#line.shift()
      const { error, message, packet, done } = entry
      if (packet.qos === 1) this.#unansweredQos1 -= 1
      if (error) {
        if (packet.messageId !== undefined) this.#endExchange(packet.messageId)
        this.#options.onRefused(error, packet, done)
        continue
      }
      if (message) this.#options.onStored(message)
      done()
    }
    this.#tellIdle()
  }

  /**
   * A refusal ends the exchange (MQTT 5 section 4.3.3). Before MQTT 5 there is none: the client sends the same again when
   * it is back, and the stream may have it.
   */
  #endExchange(packetId: number): void {
    this.#unreleased.delete(packetId)
    const { session, isPatient } = this.#options
    if (!isPatient && session.receipts.delete(packetId) && session.isDurable) session.ledger.touch()
  }
}

function newReceipt(isDurable: boolean, since: number): Receipt {
  const messageId = isDurable ? randomUUID() : undefined
  return { messageId, since, isAccepted: false, isAsked: false, waiting: [] }
}
