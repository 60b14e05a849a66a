import type { Logger } from '../../platform/log.ts'
import type { Authority, AuthorityChange } from '../authority.ts'
import { Reason } from './codes.ts'
import type { Connection } from './connection.ts'
import { reasonWord } from './failures.ts'
import type { Refuse } from './refusals.ts'
import type { Session } from './sessions.ts'

/** Questions to the authority at a time: freezing a domain with many devices must not stop the rest. */
const MAX_CONCURRENT = 16

export interface Revocation {
  /** Asks again for everything a session holds, as after a change. */
  recheck(session: Session): void
  stop(): void
}

type Scope = 'everything' | Set<string>

/**
 * Keeps what live connections and kept sessions hold in line with the authority: publications ask again, deliveries stop
 * or begin again, and who could not sign in any more loses the connection.
 *
 * When the authority does not answer, the connection is closed rather than believed; a client that comes back is refused
 * as "unavailable" until there is an answer, and misses nothing that its session keeps.
 */
export function watchAuthority(options: {
  authority: Authority
  log: Logger
  refuse: Refuse
  sessions: () => Iterable<Session>
  connectionOf: (session: Session) => Connection | undefined
}): Revocation {
  const { authority, log, refuse, connectionOf } = options
  const waiting = new Map<Session, Scope>()
  let running = 0

  function enqueue(session: Session, channelIds: readonly string[] | undefined): void {
    const before = waiting.get(session)
    if (!channelIds || before === 'everything') waiting.set(session, 'everything')
    else waiting.set(session, new Set([...(before ?? []), ...channelIds]))
    while (running < MAX_CONCURRENT && waiting.size > 0) {
      running += 1
      run().catch((error: unknown) => log.error({ err: error }, 'MQTT permissions could not be checked again'))
    }
  }

  async function run(): Promise<void> {
    try {
      for (const [session, scope] of waiting) {
        waiting.delete(session)
        await check(session, scope)
      }
    } finally {
      running -= 1
    }
  }

  async function check(session: Session, scope: Scope): Promise<void> {
    const connection = connectionOf(session)
    try {
      for (const [channelId, grant] of session.grants) {
        if (scope !== 'everything' && !scope.has(channelId)) continue
        const request = { principal: session.principal, channelId, action: 'subscribe' } as const
        grant.isAllowed = await authority.authorize(request)
      }
      if (!connection?.credentials || scope !== 'everything') return
      if (await authority.authenticate(connection.credentials)) return
      end(session, connection, Reason.notAuthorized, 'revoked')
    } catch (error) {
      for (const grant of session.grants.values()) grant.isAllowed = false
      if (connection) end(session, connection, Reason.serverBusy, reasonWord(error))
    }
  }

  function end(
    session: Session,
    connection: Connection,
    code: typeof Reason.notAuthorized | typeof Reason.serverBusy,
    reason: string,
  ): void {
    refuse({ reason, code, clientId: session.principal.id, address: connection.info.remoteAddress })
    connection.close(code)
  }

  const removeListener = authority.onChange((change) => {
    if (isAboutUsers(change)) return
    for (const session of options.sessions()) {
      if (!concerns(change, session)) continue
      session.changes += 1
      connectionOf(session)?.forgetGrants()
      enqueue(session, change.clientIds ? undefined : change.channelIds)
    }
  })

  return {
    recheck: (session) => enqueue(session, undefined),
    stop() {
      removeListener()
      waiting.clear()
    },
  }
}

/** No MQTT connection speaks for a user. */
function isAboutUsers(change: AuthorityChange): boolean {
  return change.userIds !== undefined && !change.clientIds && !change.channelIds
}

/** Whether the change may touch what the session holds. What it may publish to is not listed, so channels do not exclude. */
function concerns(change: AuthorityChange, { principal }: Session): boolean {
  if (change.domainId !== undefined && change.domainId !== principal.domainId) return false
  return !change.clientIds || change.clientIds.includes(principal.id)
}
