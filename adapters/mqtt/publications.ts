import { DomainError } from '../../platform/errors.ts'
import { markAnswered } from './aedes-broker.ts'
import type { AedesPublish } from './aedes-broker.ts'
import { reasonFor } from './codes.ts'
import type { Peer } from './peer.ts'
import { encodePublishRefusal } from './answers.ts'
import type { Host } from './host.ts'
import { Inbound } from './inbound.ts'
import type { Session } from './sessions.ts'

/** The publishing side of a connection, with its refusals told to the client, the log and the counters. */
export function createInbound(
  host: Host,
  connection: Peer,
  session: Session,
  onBroken: (error: unknown) => void,
): Inbound {
  return new Inbound({
    authority: host.authority,
    publish: host.publish,
    session,
    topics: host.limits.topics,
    checkPayload: host.checkPayload,
    // Older clients are told of no such thing.
    receiveMaximum: connection.version === 5 ? host.limits.receiveMaximum : Infinity,
    rate: host.rates?.(`mqtt ${connection.info.transport}`),
    isPatient: connection.version !== 5,
    isClosed: () => connection.isClosed,
    onDelayed: (refusal) => host.refusals.noteError(refusal, connection.facts),
    onStored: (message) => host.onStored(message),
    onLost: (error) => host.onLost(error),
    onBroken,
    onRefused: (error, packet, done) => refuse(host, connection, error, packet, done),
  })
}

function refuse(
  host: Host,
  connection: Peer,
  error: Error,
  packet: AedesPublish,
  done: (error?: Error) => void,
): void {
  const code = reasonFor(error, 'publish')
  host.refusals.noteError(error, { code, ...connection.facts })
  if (connection.version !== 5) {
    // Before MQTT 5 there is no answer but the end of the connection.
    connection.close()
    return done(error)
  }
  markAnswered(packet)
  if (packet.qos > 0 && packet.messageId !== undefined) {
    const text = connection.wantsReasons && error instanceof DomainError ? error.message : undefined
    const words = { text, maximumPacketSize: connection.maximumPacketSize }
    connection.answerInTurn(encodePublishRefusal(packet.qos === 1 ? 1 : 2, packet.messageId, code, words))
  }
  done()
}
