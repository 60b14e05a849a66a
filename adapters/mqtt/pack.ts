import { expiryLeft } from '../../platform/bus/properties.ts'
import { encodePublish } from './encode.ts'
import type { Delivery, PublishExtras } from './encode.ts'
import type { Version } from './packets.ts'
import type { TopicAliases } from './topic-aliases.ts'

/** What a client told of itself that a PUBLISH to it depends on. */
export interface PackLimits {
  readonly version: Version
  readonly maximumPacketSize: number
  /** Of this connection; absent when the client takes none [MQTT-3.1.2-27]. */
  readonly aliases: TopicAliases | undefined
}

/** Why a message cannot be sent to a client, now or ever. */
export type Unsendable = 'message_expired' | 'packet_too_large_for_receiver'

/**
 * The PUBLISH as one client gets it now. It must be sent: the client is taken to know its topic alias from here on.
 *
 * @param packetId 0 with QoS 0
 */
export function packPublish(
  client: PackLimits,
  delivery: Delivery,
  packetId: number,
  isDuplicate: boolean,
): Buffer | Unsendable {
  const { version, maximumPacketSize, aliases } = client
  const { properties } = delivery
  let expiryLeftS: number | undefined
  if (properties?.expiryS !== undefined) {
    expiryLeftS = expiryLeft(properties.expiryS, properties.receivedAtMs, Date.now())
    if (expiryLeftS === undefined) {
      if (!isDuplicate) return 'message_expired' // [MQTT-3.3.2-5]
      // Its delivery had begun in time, and goes on [MQTT-4.4.0-1].
      expiryLeftS = 0
    }
  }
  const bytes = aliases
    ? packAliased(client, aliases, delivery, packetId, isDuplicate, expiryLeftS)
    : encodePublish(
        delivery,
        version,
        packetId,
        isDuplicate,
        expiryLeftS === undefined ? undefined : { expiryLeftS },
      )
  // [MQTT-3.1.2-24] [MQTT-3.1.2-25]
  return bytes.length <= maximumPacketSize ? bytes : 'packet_too_large_for_receiver'
}

function packAliased(
  { version, maximumPacketSize }: PackLimits,
  aliases: TopicAliases,
  delivery: Delivery,
  packetId: number,
  isDuplicate: boolean,
  expiryLeftS: number | undefined,
): Buffer {
  const { topic } = delivery
  const pack = (extras: PublishExtras): Buffer =>
    encodePublish(delivery, version, packetId, isDuplicate, extras)
  const known = aliases.find(topic)
  if (known > 0) return pack({ expiryLeftS, alias: known, topic: '' })
  const alias = aliases.next(topic)
  if (alias > 0) {
    const bytes = pack({ expiryLeftS, alias })
    if (bytes.length <= maximumPacketSize) {
      aliases.assign(topic)
      return bytes
    }
  }
  return pack({ expiryLeftS })
}
