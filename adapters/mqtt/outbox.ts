import type { Tally } from '../../platform/metrics.ts'
import { costOf } from './backlog.ts'
import type { Account } from './backlog.ts'
import { encodePubrel } from './answers.ts'
import type { Delivery } from './encode.ts'
import { packPublish } from './pack.ts'
import type { PackLimits } from './pack.ts'

/** Where deliveries go while a client is connected. */
export interface Receiver extends PackLimits {
  readonly receiveMaximum: number
  readonly isCongested: boolean
  send(bytes: Buffer): void
}

export interface OutboxOptions {
  /**
   * Messages that wait for a client that is away. One that is there and lags may have more of them, bounded in bytes:
   * a burst is no reason to lose what was acknowledged to its publisher.
   */
  readonly maxQueuedMessages: number
  readonly maxInflight: number
  /** Messages handed to connections. */
  readonly delivered: Tally
}

/** Bytes that may wait for one session. */
const MAX_QUEUED_BYTES = 16 * 1024 * 1024

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
  #receiver: Receiver | undefined
  /** Empty before the head: what was taken out must not stay in memory. */
  #queue: (Delivery | undefined)[] = []
  #queueHead = 0
  #queuedBytes = 0
  /**
   * By packet identifier. `undefined` once PUBREC has come: then PUBREL is what is repeated, and never the message
   * [MQTT-4.3.3-6], which nobody needs any more.
   */
  readonly #inFlight = new Map<number, Delivery | undefined>()
  #lastId = 0

  /**
   * @param account where all that waits or is in flight is held
   * @param onDrop  is told why a message does not reach the session
   */
  constructor(options: OutboxOptions, account: Account, onDrop: (reason: string) => void) {
    this.#options = options
    this.#account = account
    this.#onDrop = onDrop
  }

  /** The client is there (again): first what it did not acknowledge, in the order first sent, then what waits. */
  attach(receiver: Receiver): void {
    this.#receiver = receiver
    for (const [packetId, delivery] of this.#inFlight) {
      if (!delivery) receiver.send(encodePubrel(packetId))
      else if (!this.#write(receiver, delivery, packetId, true)) this.#end(packetId)
    }
    this.pump()
  }

  detach(): void {
    this.#receiver = undefined
  }

  deliver(delivery: Delivery): void {
    const receiver = this.#receiver
    if (delivery.qos === 0) {
      // "At most once": kept for nobody who is away or too slow.
      if (receiver && !receiver.isCongested) this.#write(receiver, delivery, 0, false)
      else if (receiver) this.#onDrop('slow_receiver')
      return
    }
    if (!this.#account.hasRoom(delivery, receiver !== undefined)) return this.#onDrop('backlog_full')
    const waiting = this.#queue.length - this.#queueHead
    if (waiting === 0 && receiver && this.#hasRoom(receiver)) {
      this.#account.hold(delivery)
      return this.#begin(receiver, delivery)
    }
    const bytes = costOf(delivery)
    const isCounted = !receiver || this.#account.isOver
    if (
      (isCounted && waiting >= this.#options.maxQueuedMessages) ||
      this.#queuedBytes + bytes > MAX_QUEUED_BYTES
    ) {
      return this.#onDrop('queue_full')
    }
    this.#queue.push(delivery)
    this.#queuedBytes += bytes
    this.#account.hold(delivery)
  }

  /** The session has ended: nothing waits any more. */
  discard(): void {
    this.#receiver = undefined
    for (const delivery of this.#queue) if (delivery) this.#account.release(delivery)
    for (const packetId of this.#inFlight.keys()) this.#end(packetId)
    this.#queue = []
    this.#queueHead = 0
    this.#queuedBytes = 0
  }

  /** PUBACK or PUBCOMP, or a PUBREC that refuses: the packet identifier is free again. */
  acknowledge(packetId: number): void {
    if (this.#end(packetId)) this.pump()
  }

  /** PUBREC: from here on PUBREL until PUBCOMP. @returns whether the packet identifier was in flight */
  receive(packetId: number): boolean {
    if (!this.#inFlight.has(packetId)) return false
    const delivery = this.#inFlight.get(packetId)
    if (delivery) this.#account.release(delivery)
    this.#inFlight.set(packetId, undefined)
    return true
  }

  /** Sends what waits as far as acknowledgements and the socket allow. */
  pump(): void {
    const receiver = this.#receiver
    while (receiver && this.#queueHead < this.#queue.length && this.#hasRoom(receiver)) {
      const delivery = this.#queue[this.#queueHead] as Delivery
      this.#queue[this.#queueHead] = undefined
      this.#queueHead += 1
      this.#queuedBytes -= costOf(delivery)
      this.#begin(receiver, delivery)
    }
    // Cut in large steps: `shift` on every message would move the rest each time.
    if (this.#queueHead > 0 && this.#queueHead * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#queueHead)
      this.#queueHead = 0
    }
  }

  /** The packet identifier is free again. @returns whether it was in flight */
  #end(packetId: number): boolean {
    const delivery = this.#inFlight.get(packetId)
    if (delivery) this.#account.release(delivery)
    return this.#inFlight.delete(packetId)
  }

  #hasRoom(receiver: Receiver): boolean {
    // [MQTT-3.3.4-9], and our own bound for versions that know no Receive Maximum.
    const window = Math.min(this.#options.maxInflight, receiver.receiveMaximum)
    return this.#inFlight.size < window && !receiver.isCongested
  }

  /** @param delivery held already */
  #begin(receiver: Receiver, delivery: Delivery): void {
    const packetId = this.#nextId()
    if (this.#write(receiver, delivery, packetId, false)) this.#inFlight.set(packetId, delivery)
    else this.#account.release(delivery)
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
    return true
  }

  #nextId(): number {
    // Ends: never are all 65,535 in flight [MQTT-2.2.1-4].
    do this.#lastId = (this.#lastId % 65_535) + 1
    while (this.#inFlight.has(this.#lastId))
    return this.#lastId
  }
}
