import { nowNs } from '../../platform/bus/message.ts'
import type { Message } from '../../platform/bus/message.ts'
import { encodePropertyHeaders, readPropertyHeaders } from '../../platform/bus/properties.ts'
import { Unavailable } from '../../platform/errors.ts'
import type { Authority } from '../authority.ts'
import type { Publish } from '../publish.ts'
import type { Refusals } from '../refusals.ts'
import { NotStoredYet } from '../stored.ts'
import { parseTopicName } from '../topics.ts'
import { findAllowed } from './access.ts'
import { facetsOf } from './message-properties.ts'
import type { Will } from './connect-packet.ts'
import type { SessionRecord, WillRecord } from './session-record.ts'

/** Publishes wills. Each is dropped by the stream when it was sent already, by us or by whoever cleaned up after us. */
export interface Wills {
  /**
   * Sends the will of a session, if it has one. Whether nothing is owed any more: it is on the stream, or was refused, which
   * is noted, since nobody waits for an answer to a will. Else it could be neither sent nor refused now.
   */
  settle(record: SessionRecord): Promise<boolean>
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
    async settle(record) {
      const { will, principal } = record
      if (!will) return true
      try {
        await publishWill(record, will)
      } catch (error) {
        // On the stream: the writer is what is late.
        if (error instanceof NotStoredYet) return true
        if (error instanceof Unavailable) {
          refusals.note('will_delayed', { clientId: principal.id, cause: error.message })
          return false
        }
        refusals.noteError(error, { clientId: principal.id, will: true })
      }
      return true
    },
  }
}
