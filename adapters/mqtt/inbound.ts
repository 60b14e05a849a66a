import { nowNs } from '../../platform/bus/message.ts'
import type { Message } from '../../platform/bus/message.ts'
import type { MessageAddress } from '../../platform/bus/subject.ts'
import type { DomainError, RateLimited } from '../../platform/errors.ts'
import type { Authority, ChannelAddress } from '../authority.ts'
import { SENML_TYPES } from '../content-type.ts'
import type { Publish } from '../publish.ts'
import type { MessageRate } from '../rates.ts'
import { parseTopicName } from '../topics.ts'
import type { TopicLimits } from '../topics.ts'
import { findAllowed } from './access.ts'
import type { AedesPublish } from './aedes-broker.ts'
import type { Session } from './sessions.ts'
import { waitForTurn } from './turn.ts'

type Done = (error?: Error) => void

/** Looks into a payload that says it is SenML. @returns what is wrong with it */
export type CheckPayload = (contentType: string, payload: Uint8Array) => DomainError | undefined

export interface InboundOptions {
  readonly authority: Authority
  readonly publish: Publish
  readonly session: Session
  readonly topics: TopicLimits
  readonly checkPayload: CheckPayload
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
/** Topics and prefixes whose addresses a connection remembers; forgotten all at once when there are more. */
const MAX_KNOWN = 512

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
  readonly #topics = new Map<string, MessageAddress>()
  readonly #prefixes = new Map<string, ChannelAddress>()
  readonly #lookups: { packet: AedesPublish; done: Done }[] = []
  readonly #line: Entry[] = []
  readonly #held: Done[] = []
  readonly #onIdle: (() => void)[] = []
  #unanswered = 0
  /** Grows whenever what is known was forgotten: an answer asked for before that is not to be kept. */
  #generation = 0

  constructor(options: InboundOptions) {
    this.#options = options
  }

  /** Asks the authority again for everything from now on. */
  forget(): void {
    this.#generation += 1
    this.#topics.clear()
    this.#prefixes.clear()
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

  take(packet: AedesPublish, done: Done): void {
    if (this.#lookups.length === 0) {
      const address = this.#topics.get(packet.topic)
      if (address && !this.#delayOf(address, packet)) return this.#store(address, packet, done)
    }
    this.#lookups.push({ packet, done })
    if (this.#lookups.length === 1) this.#resolveAll().catch((error: unknown) => this.#break(error))
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
      if (!delay) return address
      this.#options.onDelayed(delay)
      // Nothing more is read from the connection meanwhile: its sender is slowed down, and loses nothing. What it may do can
      // change in that time, so it is asked again.
      await waitForTurn(() => this.#delayOf(address, packet), this.#options.isClosed)
    }
  }

  /** @returns `undefined` for what is taken and kept nowhere */
  async #resolve(text: string): Promise<MessageAddress | undefined> {
    if (HEALTH.test(text)) return undefined
    const topic = parseTopicName(text, this.#options.topics)
    const { authority, session } = this.#options
    let channel = this.#prefixes.get(topic.prefix)
    while (!channel) {
      const generation = this.#generation
      const found = await findAllowed(authority, session.principal, topic, 'publish')
      if (generation !== this.#generation) continue
      channel = found
      remember(this.#prefixes, topic.prefix, channel)
    }
    const address: MessageAddress = {
      domainId: channel.domainId,
      channelId: channel.channelId,
      levels: topic.levels,
    }
    remember(this.#topics, text, address)
    return address
  }

  /** Why the message has to wait for its turn, if it has to. A will has nobody left to wait, and is always taken. */
  #delayOf({ domainId }: MessageAddress, { qos, cmd }: AedesPublish): RateLimited | undefined {
    const { rate, isPatient, session } = this.#options
    if (!rate || !isPatient || qos === 0 || cmd === undefined) return undefined
    return rate.refusalOf({ publisher: session.principal.id, domainId })
  }

  #store(address: MessageAddress, packet: AedesPublish, done: Done): void {
    const message: Message = {
      domainId: address.domainId,
      channelId: address.channelId,
      levels: address.levels,
      publisher: this.#options.session.principal.id,
      protocol: 'mqtt',
      contentType: contentTypeOf(packet),
      receivedAtNs: nowNs(),
      payload: packet.payload,
      qos: packet.qos,
      retain: packet.retain,
    }
    const refusal = packet.cmd === undefined ? undefined : this.#options.rate?.admit(message)
    if (refusal) return this.#refuse(refusal, packet, done)
    const flaw = SENML_TYPES.has(message.contentType)
      ? this.#options.checkPayload(message.contentType, packet.payload)
      : undefined
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

  #refuse(refusal: Error, packet: AedesPublish, done: Done): void {
    if (packet.qos > 0) {
      this.#enqueue({ packet, message: undefined, done, isSettled: true, error: refusal })
      return
    }
    // "At most once", and no reason to end the connection.
    this.#options.onLost(refusal)
    done()
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
    const { receipts } = this.#options.session
    const entry: Entry = { packet, message: undefined, done, isSettled: false, error: undefined }
    const earlier = receipts.get(packetId)
    if (earlier) {
      this.#enqueue(entry)
      // The same again [MQTT-4.3.3-10]: PUBREC as for the first, and nothing onto the stream.
      if (earlier.isAccepted) this.#settle(entry, undefined)
      else earlier.waiting.push((error) => this.#settle(entry, error))
      return
    }
    const receipt = { isAccepted: false, waiting: [] as Done[] }
    receipts.set(packetId, receipt)
    const first = this.#enqueue({ ...entry, message })
    this.#options.publish(message, (error) => {
      receipt.isAccepted = error === undefined
      if (error && receipts.get(packetId) === receipt) receipts.delete(packetId)
      this.#settle(first, error)
      for (const again of receipt.waiting.splice(0)) again(error)
    })
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
      if (error) {
        this.#options.onRefused(error, packet, done)
        continue
      }
      if (message) this.#options.onStored(message)
      done()
    }
    this.#tellIdle()
  }
}

// Anything else would not survive as a header of the bus.
const PRINTABLE = /^[\x20-\x7e]{1,255}$/

function contentTypeOf(packet: AedesPublish): string {
  const type = packet.properties?.contentType
  if (type === undefined || !PRINTABLE.test(type)) return ''
  // As it stands, unless it is one of those that mean something to us.
  const name = type.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  return SENML_TYPES.has(name) ? name : type
}

function remember<V>(known: Map<string, V>, key: string, value: V): void {
  if (known.size >= MAX_KNOWN) known.clear()
  known.set(key, value)
}
