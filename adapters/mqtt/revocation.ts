import type { Logger } from '../../platform/log.ts'
import { isTouched } from '../authority.ts'
import type { Authority, AuthorityChange } from '../authority.ts'
import { createRecheckQueue } from '../../platform/recheck.ts'
import type { Refusals } from '../refusals.ts'
import { Reason } from './codes.ts'
import type { Peer } from './peer.ts'
import type { Session } from './sessions.ts'

export interface Revocation {
  /** Asks again for everything a session holds, as after a change. */
  recheck(session: Session): void
  stop(): void
}

/**
 * Keeps what live connections and kept sessions hold in line with the authority: publications ask again, deliveries stop
 * or begin again, and who could not sign in any more loses the connection.
 */
export function watchAuthority(options: {
  authority: Authority
  log: Logger
  refusals: Refusals
  sessions: () => Iterable<Session>
  connectionOf: (session: Session) => Peer | undefined
  /** Last place of the stream. @throws {Unavailable} */
  lastPlace: () => Promise<number>
  /** What the session may receive is known anew. */
  onChecked: (session: Session) => void
}): Revocation {
  const { authority, log, refusals, connectionOf } = options

  async function check(session: Session): Promise<void> {
    if (session.isEnded) return
    const { principal } = session
    for (const [channelId, grant] of session.grants) {
      const isAllowed = await authority.authorize({ principal, channelId, action: 'subscribe' })
      // It reads from the stream, perhaps behind what was published in between.
      if (isAllowed && !grant.isAllowed && session.isDurable)
        session.skipTo(channelId, await options.lastPlace())
      grant.isAllowed = isAllowed
    }
    options.onChecked(session)
    const connection = connectionOf(session)
    if (!connection?.credentials || (await authority.authenticate(connection.credentials))) return
    refusals.note('revoked', { code: Reason.notAuthorized, ...connection.facts })
    connection.close(Reason.notAuthorized)
  }

  const queue = createRecheckQueue<Session>({ check, log })
  const removeListener = authority.onChange((change) => {
    for (const session of options.sessions()) {
      if (!concerns(change, session)) continue
      session.changes += 1
      connectionOf(session)?.forgetGrants()
      queue.add(session)
    }
  })

  return {
    recheck: (session) => queue.add(session),
    stop() {
      removeListener()
      queue.stop()
    },
  }
}

/** Whether the change may touch what the session holds; to which channels it publishes is not listed, so any may be one. */
function concerns(change: AuthorityChange, { principal, grants }: Session): boolean {
  if (isTouched(change, { principal, domainId: principal.domainId })) return true
  for (const { channel } of grants.values()) if (isTouched(change, { principal, ...channel })) return true
  return false
}
