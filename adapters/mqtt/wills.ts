import { nowNs } from '../../platform/bus/message.ts'
import type { Message } from '../../platform/bus/message.ts'
import { encodePropertyHeaders, readPropertyHeaders } from '../../platform/bus/properties.ts'
import type { Authority } from '../authority.ts'
import type { Publish } from '../publish.ts'
import type { Refusals } from '../refusals.ts'
import { parseTopicName } from '../topics.ts'
import { findAllowed } from './access.ts'
import { facetsOf } from './message-properties.ts'
import type { Will } from './connect-packet.ts'
import type { SessionRecord, WillRecord } from './session-record.ts'

/** Publishes wills. Each is dropped by the stream when it was sent already, by us or by whoever cleaned up after us. */
export interface Wills {
  /** Resolves when it is on the stream, or was refused, which is noted: nobody waits for an answer to a will. */
  send(record: SessionRecord): Promise<void>
}

export function willRecord({ payload, properties, ...will }: Will): WillRecord {
  return {
    ...will,
    payload: payload.toString('base64'),
    properties: properties ? encodePropertyHeaders(properties) : '',
    dueAt: 0,
  }
}

export function createWills(options: {
  authority: Authority
  publish: Publish
  refusals: Refusals
  onStored: (message: Message) => void
}): Wills {
  const { authority, publish, refusals, onStored } = options

  async function publishWill({ principal, epoch }: SessionRecord, will: WillRecord): Promise<void> {
    const topic = parseTopicName(will.topic)
    // Again: what the client may do can have changed since it connected.
    const { domainId, channelId } = await findAllowed(authority, principal, topic, 'publish')
    const message: Message = {
      domainId,
      channelId,
      levels: topic.levels,
      publisher: principal.id,
      protocol: 'mqtt',
      ...facetsOf(readPropertyHeaders(will.properties)),
      receivedAtNs: nowNs(),
      payload: Buffer.from(will.payload, 'base64'),
      qos: will.qos,
      retain: will.retain,
      messageId: `will-${epoch}`,
    }
    await new Promise<void>((resolve, reject) => {
      publish(message, (error) => (error ? reject(error) : resolve()))
    })
    onStored(message)
  }

  return {
    async send(record) {
      const { will, principal } = record
      if (!will) return
      try {
        await publishWill(record, will)
      } catch (error) {
        refusals.noteError(error, { clientId: principal.id, will: true })
      }
    },
  }
}
