import type { BusEvent } from '../platform/bus/events.ts'
import type { AuthorityChange } from './authority.ts'

/** What an announced operation means to what adapters have cached and to the connections they hold. */
export interface AuthorityEffect {
  /**
   * What answers of "yes", and which connections, it concerns. With `nothing lost` none: only answers of "no" may be wrong
   * now.
   */
  readonly change: AuthorityChange | 'nothing lost'
}

type Rule = (event: BusEvent) => AuthorityChange

const NOTHING_LOST: AuthorityEffect = { change: 'nothing lost' }

const domainOf = (event: BusEvent): string | undefined => event.domain_id ?? undefined

/** What happens to the users' side of a domain: roles decide there, and who holds which is not ours to know. */
const usersOfDomain: Rule = (event) => ({ kind: 'user', domainId: domainOf(event) })

const ofUser: Rule = (event) => ({ userIds: [event.entity_id] })

const ofActor: Rule = (event) => (event.actor_id === null ? { kind: 'user' } : { userIds: [event.actor_id] })

const connections: Rule = (event) => ({
  domainId: domainOf(event),
  clientIds: idList(event.attributes['client_ids']),
  channelIds: idList(event.attributes['channel_ids']),
})

/**
 * What each operation touches. The key is `<entity>.<verb>`, else the entity alone. Operations of entities that do not stand
 * here touch nothing: nobody's permission to publish or subscribe rests on them.
 */
const RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['channel.connect', connections],
  ['channel.disconnect', connections],
  ['channel', (event) => ({ domainId: domainOf(event), channelIds: [event.entity_id] })],
  ['client', (event) => ({ domainId: domainOf(event), clientIds: [event.entity_id] })],
  ['domain', (event) => ({ domainId: event.entity_id })],
  ['user', ofUser],
  ['group', usersOfDomain],
  ['role', usersOfDomain],
  ['invitation', usersOfDomain],
  ['pat', ofActor],
  ['token', ofActor],
  ['key', ofActor],
])

/** Changes of what no permission rests on; a domain holds too many connections to ask them all for a new name's sake. */
const TOUCHES_NOTHING: ReadonlySet<string> = new Set(['domain.update'])

const ADDS_ONLY: ReadonlySet<string> = new Set([
  'create',
  'view',
  'list',
  'send',
  'issue',
  'issue_token',
  'refresh_token',
  'send_verification',
  'send_password_reset',
])

/** @returns `undefined` when the event means nothing here */
export function authorityEffect(event: BusEvent): AuthorityEffect | undefined {
  const [entity = '', ...verbs] = event.operation.split('.')
  const rule = RULES.get(event.operation) ?? RULES.get(entity)
  if (!rule || TOUCHES_NOTHING.has(event.operation)) return undefined
  // Something new takes nothing from anybody.
  if (verbs.length === 1 && ADDS_ONLY.has(verbs[0] ?? '')) return NOTHING_LOST
  // A role on a channel, client or domain (`channel.remove_role`) is nothing to clients. A user's own role is the user's.
  const isAboutRoles = entity !== 'user' && verbs.some((verb) => verb.includes('role'))
  return { change: (isAboutRoles ? usersOfDomain : rule)(event) }
}

/** An event that does not name them touches them all: too much evicted costs a question, too little a leak. */
function idList(value: unknown): string[] | undefined {
  return Array.isArray(value) ? value.filter((id) => typeof id === 'string') : undefined
}
