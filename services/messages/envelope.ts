import { isUtf8 } from 'node:buffer'

import type { Message } from '../../platform/bus/message.ts'

/** A message as it came from the device, for those who want it whole: payload in base64, and as text where it is text. */
export function presentEnvelope(message: Message) {
  const payload = Buffer.from(message.payload)
  return {
    channel: message.channelId,
    subtopic: message.levels.length === 0 ? undefined : message.levels.join('/'),
    publisher: message.publisher === '' ? undefined : message.publisher,
    protocol: message.protocol,
    content_type: message.contentType === '' ? undefined : message.contentType,
    received_at: new Date(Number(message.receivedAtNs / 1_000_000n)).toISOString(),
    payload: payload.toString('base64'),
    text: isUtf8(payload) ? payload.toString() : undefined,
  }
}
