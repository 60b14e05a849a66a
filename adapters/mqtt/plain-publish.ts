import { isAnswered } from './aedes-broker.ts'
import type { AedesPublish } from './aedes-broker.ts'
import { encodePuback } from './answers.ts'
import type { Frame } from './framer.ts'
import type { Inbound } from './inbound.ts'
import type { Version } from './packets.ts'
import type { Peer } from './peer.ts'

/** What may wait for its answer while more is read, in number and in bytes of payload. */
const MAX_UNANSWERED = 256
const MAX_UNANSWERED_BYTES = 256 * 1024

/**
 * Takes publications of a connection past Aedes, which would read each once more, keep it and answer it, at twice the cost:
 * plain ones on topics that were used before, so that nothing but the message itself is left to look at.
 */
export class PlainPublishing {
  readonly #connection: Peer
  readonly #inbound: Inbound
  #unanswered = 0
  #unansweredBytes = 0

  constructor(connection: Peer, inbound: Inbound) {
    this.#connection = connection
    this.#inbound = inbound
  }

  get isFull(): boolean {
    return this.#unanswered >= MAX_UNANSWERED || this.#unansweredBytes >= MAX_UNANSWERED_BYTES
  }

  /**
   * Not to be called while Aedes has any to answer: acknowledgements go out in order [MQTT-4.6.0-2].
   *
   * @returns whether it was one of those
   */
  take(frame: Frame): boolean {
    const packet = readPlainPublish(frame, this.#connection.version)
    if (!packet || !this.#inbound.knows(packet.topic)) return false
    this.#unanswered += 1
    this.#unansweredBytes += packet.payload.length
    this.#inbound.take(packet, () => this.#answer(packet))
    return true
  }

  /** A refusal was told before. */
  #answer(packet: AedesPublish): void {
    const { payload, qos, messageId = 0 } = packet
    const connection = this.#connection
    if (qos === 1 && !connection.isClosed && !isAnswered(packet)) connection.send(encodePuback(messageId))
    const { isFull } = this
    this.#unanswered -= 1
    this.#unansweredBytes -= payload.length
    if (isFull) connection.onRoom()
  }
}

/**
 * Reads a PUBLISH of the plain kind: QoS 0 or 1, without properties. Its topic is read byte by byte, as Latin-1; so it is
 * the topic only when that is known to be ASCII.
 *
 * @returns `undefined` for all others, malformed ones among them
 */
function readPlainPublish({ bytes, body, end, flags }: Frame, version: Version): AedesPublish | undefined {
  const qos = (flags >> 1) & 0x03
  if (qos > 1 || (flags & 0x0a) === 0x08 || end - body < 2) return undefined
  const topicEnd = body + 2 + ((bytes[body] as number) << 8) + (bytes[body + 1] as number)
  let at = topicEnd
  let messageId = 0
  if (qos === 1) {
    if (at + 2 > end) return undefined
    messageId = ((bytes[at] as number) << 8) + (bytes[at + 1] as number)
    if (messageId === 0) return undefined
    at += 2
  }
  if (version === 5) {
    if (at >= end || bytes[at] !== 0) return undefined
    at += 1
  }
  if (at > end) return undefined
  return {
    topic: bytes.toString('latin1', body + 2, topicEnd),
    payload: bytes.subarray(at, end),
    qos: qos as 0 | 1,
    retain: (flags & 0x01) !== 0,
    messageId,
  }
}
