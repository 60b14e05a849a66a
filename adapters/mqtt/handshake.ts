import { randomUUID } from 'node:crypto'
import { admit, credentialsOf } from './access.ts'
import type { Peer } from './peer.ts'
import type { Host } from './host.ts'
import type { Connect } from './connect-packet.ts'
import { recordKey } from './session-record.ts'
import type { Session } from './sessions.ts'

/**
 * Finds out who connects, ends the connection that has the session now, and opens the session.
 *
 * @returns `undefined` when the connection was closed meanwhile
 * @throws {QuotaExceeded}, {RateLimited}, {Unauthenticated}, {Forbidden} or {InvalidTopic} for the will, {Unavailable}
 */
export async function openSession(
  host: Host,
  connection: Peer,
  connect: Connect,
): Promise<Session | undefined> {
  const credentials = credentialsOf(connect, connection.info.certifiedId)
  const { remoteAddress } = connection.info
  const principal = await admit(host.authority, credentials, connect, {
    from: remoteAddress,
    topics: host.limits.topics,
  })
  if (connection.isClosed) return undefined
  if (connect.identifier === '') connection.assignedIdentifier = `auto-${randomUUID()}`
  const identifier = connect.identifier || (connection.assignedIdentifier ?? '')
  const key = recordKey(principal, identifier)
  await host.claim(connection, key) // [MQTT-3.1.4-3]
  if (connection.isClosed) return undefined
  connection.credentials = credentials
  const { session, isPresent } = await host.sessions.open(
    key,
    principal,
    identifier,
    connect,
    () => !connection.isClosed,
  )
  if (connection.isClosed) {
    await host.sessions.close(session)
    return undefined
  }
  connection.isSessionPresent = isPresent
  return session
}
