import type { Tally } from '../../platform/metrics.ts'
import { costOf } from './backlog.ts'
import type { Account } from './backlog.ts'
import { encodePubrel } from './answers.ts'
import type { Bookmark, Delivery } from './encode.ts'
import { packPublish } from './pack.ts'
import type { PackLimits } from './pack.ts'
import { Queue } from './queue.ts'
import type { InFlightRecord, Owed } from './session-record.ts'
import { SparseMap } from './sparse-map.ts'

/** Where deliveries go while a client is connected. */
export interface Receiver extends PackLimits {
  readonly receiveMaximum: number
  readonly isCongested: boolean
  send(bytes: Buffer): void
  /** A message was sent. */
  onDelivered(): void
}

export interface OutboxOptions {
  /**
   * Messages that wait for a client that is away. One that is there and lags may have more of them, bounded in bytes:
   * a burst is no reason to lose what was acknowledged to its publisher.
   */
  readonly maxQueuedMessages: number
  readonly maxInflight: number
  /** What all sessions of the process may hold together. */
  readonly maxBacklogBytes?: number | undefined
  /** Messages handed to connections. */
  readonly delivered: Tally
}

const RELEASED = { seq: 0, topic: '', qos: 2, retain: false, identifiers: [], isReleased: true } as const

/** Where a session that outlives its connection is written down. */
export interface Journal {
  /** Something changed that a crash may forget: at worst a message of QoS 1 goes out twice. */
  touch(): void
  /** Calls back when the session as it stands now is written; with an error when it never will be. */
  commit(done: (error?: Error) => void): void
}

/** Bytes that may wait for one session. */
const MAX_QUEUED_BYTES = 16 * 1024 * 1024
/** What a session that can read the stream again lets wait in memory. */
const ENOUGH_MESSAGES = 256
const ENOUGH_BYTES = 1024 * 1024
const OTHERS_MS = 250

/**
 * The sending side of one session: what waits, and what is in flight. In order, at most so many unacknowledged, and all of
 * it again after a reconnect [MQTT-4.4.0-1].
 *
 * Aedes 2.0.0-beta.1 does none of the bounds: it ignores the client's Receive Maximum and Maximum Packet Size, its offline
 * queues have no end, its duplicate check loses a QoS 1 message that a QoS 0 message overtakes, and it forgets to lower
 * the QoS for filters with wildcards. So deliveries do not go through it.
 */
export class Outbox {
  readonly #options: OutboxOptions
  readonly #account: Account
  readonly #onDrop: (reason: string) => void
  readonly #journal: Journal | undefined
  #receiver: Receiver | undefined
  /** Packets that wait until the session is written down. */
  #held = 0
  #onRoom: (() => void)[] = []
  readonly #queue = new Queue()
  /** Whether there may be retained messages among what waits; most sessions never have any. */
  #hasRetained = false
  /**
   * By packet identifier. `undefined` once PUBREC has come: then PUBREL is what is repeated, and never the message
   * [MQTT-4.3.3-6], which nobody needs any more.
   */
  readonly #inFlight = new SparseMap<number, Delivery | undefined>()
  /** Of those in flight, what an earlier connection has sent and this one is still to repeat, in their order. */
  readonly #unrepeated = new SparseMap<number, Delivery>()
  /** Of those in flight, what an earlier connection has sent and of which nothing but PUBREL is repeated. */
  readonly #released = new SparseMap<number, true>()
  #lastId = 0

  /**
   * @param account where all that waits or is in flight is held
   * @param onDrop  is told why a message does not reach the session
   * @param journal of a session that outlives its connection: packet identifiers of QoS 2 are on file before they are used
   */
  constructor(options: OutboxOptions, account: Account, onDrop: (reason: string) => void, journal?: Journal) {
    this.#options = options
    this.#account = account
    this.#onDrop = onDrop
    this.#journal = journal
  }

  /** Whether further messages are to be left where they are kept: so much waits, or is held for others. */
  get isFull(): boolean {
    const { length, bytes } = this.#queue
    if (length >= ENOUGH_MESSAGES || bytes >= ENOUGH_BYTES) return true
    // One at a time is for everybody, or those who acknowledge nothing would keep all others of their domain waiting.
    return this.#account.isOver && (length > 0 || this.#inFlight.size > 0 || this.#account.isFull)
  }

  get size(): { readonly waiting: number; readonly inFlight: number } {
    return { waiting: this.#queue.length, inFlight: this.#inFlight.size }
  }

  /** Resolves when nothing waits, or nothing ever will again; there may be no room all the same, where others have it. */
  room(): Promise<void> {
    if (this.#queue.length === 0) {
      if (!this.isFull) return Promise.resolve()
      // Others hold what there is room for, and do not tell.
      setTimeout(() => this.#tellRoom(), OTHERS_MS)
    }
    return new Promise((resolve) => this.#onRoom.push(resolve))
  }

  /** Takes up what another connection, here or elsewhere, left unacknowledged. */
  resume(lastPacketId: number, inFlight: readonly (readonly [number, Delivery | undefined])[]): void {
    this.#lastId = lastPacketId
    for (const [packetId, delivery] of inFlight) {
      if (delivery) this.#account.hold(delivery)
      this.#inFlight.set(packetId, delivery)
    }
  }

  get lastPacketId(): number {
    return this.#lastId
  }

  /** What is sent and not acknowledged, as another process can take it up. */
  inFlight(): InFlightRecord[] {
    const records: InFlightRecord[] = []
    for (const [packetId, delivery] of this.#inFlight) {
      if (!delivery) {
        records.push({ packetId, ...RELEASED })
        continue
      }
      const { topic, qos, retain, identifiers, source, retained, settlement } = delivery
      const sent = { packetId, topic, qos, retain, identifiers, isReleased: false }
      if (retained) records.push({ ...sent, seq: retained.seq, isRetained: true })
      // What a group shares goes to others instead, but for QoS 2, which nobody else may have [MQTT-4.8.2-5].
      else if (source && (!settlement || qos === 2)) records.push({ ...sent, seq: source.seq })
    }
    return records
  }

  /** Retained messages that have not been sent yet, by filter. */
  waitingRetained(): ReadonlyMap<string, Owed> {
    const owed = new Map<string, Owed>()
    if (!this.#hasRetained) return owed
    this.#hasRetained = false
    for (const { retained } of this.#queue) {
      const { seq, filter } = retained ?? {}
      if (seq === undefined || filter === undefined) continue
      this.#hasRetained = true
      const { from, to } = owed.get(filter) ?? { from: seq, to: seq }
      owed.set(filter, { from: Math.min(from, seq), to: Math.max(to, seq) })
    }
    return owed
  }

  /** Place of the first message of that origin that has not been sent yet. */
  firstWaiting(bookmark: Bookmark): number | undefined {
    for (const { source } of this.#queue) if (source?.bookmark === bookmark) return source.seq
    return undefined
  }

  /** The client is there (again): first what it did not acknowledge, in the order first sent, then what waits. */
  attach(receiver: Receiver): void {
    this.#receiver = receiver
    for (const [packetId, delivery] of this.#inFlight) {
      if (delivery) {
        this.#unrepeated.set(packetId, delivery)
        continue
      }
      this.#released.set(packetId, true)
      receiver.send(encodePubrel(packetId))
    }
    this.pump()
  }

  detach(): void {
    this.#receiver = undefined
  }

  deliver(delivery: Delivery): void {
    const receiver = this.#receiver
    if (delivery.qos === 0 && !delivery.retained && !this.#isBehindRetained(delivery.topic)) {
      // "At most once": kept for nobody who is away or too slow. What SUBSCRIBE has asked for is no burst of others.
      if (receiver && !receiver.isCongested) this.#write(receiver, delivery, 0, false)
      else if (receiver) this.#onDrop('slow_receiver')
      delivery.settlement?.accept()
      return
    }
    const refusal = this.#findRefusal(delivery)
    if (refusal) return this.#drop(delivery, refusal)
    this.take(delivery)
  }

  /** Whether an older message of the topic waits that SUBSCRIBE has asked for: the newer one must not overtake it. */
  #isBehindRetained(topic: string): boolean {
    if (!this.#hasRetained) return false
    for (const waiting of this.#queue) if (waiting.retained && waiting.topic === topic) return true
    return false
  }

  /** Delivers what there is room for: whoever brings it has looked. */
  take(delivery: Delivery): void {
    const receiver = this.#receiver
    if (this.#queue.length === 0 && receiver && this.#hasRoom(receiver, delivery)) {
      this.#account.hold(delivery)
      return this.#begin(receiver, delivery)
    }
    this.#queue.push(delivery)
    if (delivery.retained) this.#hasRetained = true
    this.#account.hold(delivery)
  }

  /** @returns why there is no room for a message, if there is none */
  #findRefusal(delivery: Delivery): 'backlog_full' | 'queue_full' | undefined {
    // It could have stayed in the stream, so whoever brings it has looked for room: refused, it would be lost.
    if (this.#journal && delivery.source && !delivery.settlement) return undefined
    const isPresent = this.#receiver !== undefined
    if (!this.#account.hasRoom(delivery, isPresent)) return 'backlog_full'
    const { length, bytes } = this.#queue
    if (length === 0) return undefined
    const isCounted = !isPresent || this.#account.isOver
    if (isCounted && length >= this.#options.maxQueuedMessages) return 'queue_full'
    return bytes + costOf(delivery) > MAX_QUEUED_BYTES ? 'queue_full' : undefined
  }

  #drop({ settlement }: Delivery, reason: string): void {
    this.#onDrop(reason)
    settlement?.handOver()
  }

  /** The session has ended here: nothing waits any more, and what others may have goes to them. */
  discard(): void {
    this.#receiver = undefined
    for (const delivery of this.#queue) {
      delivery.settlement?.handOver()
      this.#account.release(delivery)
    }
    for (const [packetId, delivery] of this.#inFlight) {
      delivery?.settlement?.handOver()
      this.#end(packetId)
    }
    this.#queue.clear()
    this.#tellRoom()
  }

  #tellRoom(): void {
    if (this.#onRoom.length === 0 || this.#queue.length > 0) return
    for (const resolve of this.#onRoom.splice(0)) resolve()
  }

  /** PUBACK or PUBCOMP, or a PUBREC that refuses: the packet identifier is free again. */
  acknowledge(packetId: number): void {
    if (!this.#end(packetId)) return
    this.#journal?.touch()
    this.pump()
  }

  /** PUBREC: from here on PUBREL until PUBCOMP, also for an identifier we do not know: it ends there [MQTT-4.3.3-4]. */
  receive(packetId: number): void {
    const receiver = this.#receiver
    const isKnown = this.#inFlight.has(packetId)
    if (isKnown) {
      const delivery = this.#inFlight.get(packetId)
      if (delivery) this.#account.release(delivery)
      this.#inFlight.set(packetId, undefined)
      if (this.#unrepeated.delete(packetId)) this.#released.set(packetId, true)
    }
    if (!isKnown || !this.#journal) return receiver?.send(encodePubrel(packetId))
    // On file first: once the client has PUBREL, the message sent again would be another one to it.
    this.#journal.commit((error) => {
      if (!error && receiver === this.#receiver) receiver?.send(encodePubrel(packetId))
    })
  }

  /** Sends what waits as far as acknowledgements and the socket allow. */
  pump(): void {
    const receiver = this.#receiver
    if (receiver) this.#repeat(receiver)
    for (;;) {
      const { first } = this.#queue
      if (!receiver || !first || !this.#hasRoom(receiver, first)) break
      this.#queue.shift()
      this.#begin(receiver, first)
    }
    if (this.#queue.length === 0) this.#hasRetained = false
    this.#tellRoom()
  }

  #repeat(receiver: Receiver): void {
    for (const [packetId, delivery] of this.#unrepeated) {
      if (receiver.isCongested || this.#unacknowledged >= receiver.receiveMaximum) return
      this.#unrepeated.delete(packetId)
      if (!this.#write(receiver, delivery, packetId, true)) this.#end(packetId)
    }
  }

  /** What this connection has sent: Receive Maximum is about each connection anew (MQTT 5 section 4.9). */
  get #unacknowledged(): number {
    return this.#inFlight.size - this.#unrepeated.size - this.#released.size
  }

  /** The packet identifier is free again. @returns whether it was in flight */
  #end(packetId: number): boolean {
    const delivery = this.#inFlight.get(packetId)
    if (delivery) this.#account.release(delivery)
    delivery?.settlement?.accept()
    this.#unrepeated.delete(packetId)
    this.#released.delete(packetId)
    return this.#inFlight.delete(packetId)
  }

  #hasRoom(receiver: Receiver, { qos }: Delivery): boolean {
    if (receiver.isCongested || this.#unrepeated.size > 0) return false
    if (qos === 0) return true
    // [MQTT-3.3.4-9], and our own bound for versions that know no Receive Maximum.
    return this.#unacknowledged < receiver.receiveMaximum && this.#inFlight.size < this.#options.maxInflight
  }

  /** @param delivery held already */
  #begin(receiver: Receiver, delivery: Delivery): void {
    if (delivery.qos === 0) {
      this.#account.release(delivery)
      this.#write(receiver, delivery, 0, false)
      delivery.settlement?.accept()
      this.#journal?.touch()
      return
    }
    const packetId = this.#nextId()
    this.#inFlight.set(packetId, delivery)
    const journal = this.#journal
    if (!journal) return this.#send(receiver, delivery, packetId)
    // A packet identifier of QoS 2 that is not on file would be used again by whoever goes on with the session. What comes
    // behind it waits with it, for the order.
    if (delivery.qos < 2 && this.#held === 0) {
      journal.touch()
      return this.#send(receiver, delivery, packetId)
    }
    this.#held += 1
    journal.commit((error) => {
      this.#held -= 1
      if (error || receiver !== this.#receiver || this.#inFlight.get(packetId) !== delivery) return
      this.#send(receiver, delivery, packetId)
    })
  }

  #send(receiver: Receiver, delivery: Delivery, packetId: number): void {
    if (!this.#write(receiver, delivery, packetId, false)) this.#end(packetId)
    // From here on it is this session's, whatever happens [MQTT-4.8.2-4] [MQTT-4.8.2-5].
    if (delivery.qos === 2) delivery.settlement?.accept()
  }

  /** @returns whether it was sent; if not, it never will be */
  #write(receiver: Receiver, delivery: Delivery, packetId: number, isDuplicate: boolean): boolean {
    const packet = packPublish(receiver, delivery, packetId, isDuplicate)
    if (typeof packet === 'string') {
      this.#onDrop(packet)
      return false
    }
    receiver.send(packet)
    this.#options.delivered.value += 1
    receiver.onDelivered()
    return true
  }

  #nextId(): number {
    // Ends: never are all 65,535 in flight [MQTT-2.2.1-4].
    do this.#lastId = (this.#lastId % 65_535) + 1
    while (this.#inFlight.has(this.#lastId))
    return this.#lastId
  }
}
