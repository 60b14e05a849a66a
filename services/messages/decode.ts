import type { Message } from '../../platform/bus/message.ts'
import { isCanonicalUuid } from '../../platform/identifiers.ts'
import { formatOf, readPayload } from './payload.ts'
import type { Decoded, JsonMessage, Reading } from './types.ts'

/**
 * What is stored of a message, each reading and object beside its origin: what the writer stores and the reader answers, for
 * those who take it off the stream. Never throws.
 */
export function decodeMessage(message: Message, streamSeq: number): Decoded {
  const content = readPayload(message)
  if (content.kind === 'opaque' || content.kind === 'broken') return content
  const common = {
    streamSeq,
    domainId: message.domainId,
    channelId: message.channelId,
    publisher: isCanonicalUuid(message.publisher) ? message.publisher : null,
    subtopic: message.levels.join('/'),
    protocol: message.protocol,
  }
  if (content.kind === 'json') {
    const [format, createdNs] = [formatOf(message), message.receivedAtNs]
    const messages = content.objects.map((payload, record): JsonMessage => ({
      ...common,
      record,
      format,
      createdNs,
      payload,
    }))
    return { kind: 'json', messages }
  }
  const readings = content.records.map((each, record): Reading => ({
    ...common,
    record,
    name: each.n,
    unit: each.u ?? null,
    time: each.t,
    updateTime: each.ut ?? null,
    value: each.v ?? null,
    stringValue: each.vs ?? null,
    boolValue: each.vb ?? null,
    dataValue: each.vd ?? null,
    sum: each.s ?? null,
  }))
  return { kind: 'readings', readings }
}
