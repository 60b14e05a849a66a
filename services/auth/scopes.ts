import type { Scope, ScopeType } from '../../platform/principal.ts'
import type { Principal } from './types.ts'

const ROLE_OPERATIONS = [
  'add',
  'remove',
  'update',
  'retrieve',
  'retrieve_all',
  'add_actions',
  'list_actions',
  'check_actions_exists',
  'remove_actions',
  'remove_all_actions',
  'add_members',
  'list_members',
  'check_members_exists',
  'remove_members',
  'remove_all_members',
].map((operation) => `role_${operation}`)

const words = (text: string) => text.split(' ')
const COMMON = words('view update update_tags enable disable delete')

/** What scopes may name, by type of entity (contract 9); the words for users are those of the journal (contract 10). */
export const SCOPE_OPERATIONS: Readonly<Record<ScopeType, readonly string[]>> = {
  clients: [
    ...COMMON,
    ...words('update_secret set_parent_group remove_parent_group connect_to_channel disconnect_from_channel'),
    ...words('create create_clients list list_clients'),
    ...ROLE_OPERATIONS,
  ],
  channels: [
    ...COMMON,
    ...words('set_parent_group remove_parent_group connect_client disconnect_client'),
    ...words('create create_channels list list_channels'),
    ...ROLE_OPERATIONS,
  ],
  groups: [
    ...COMMON,
    ...words('retrieve_group_hierarchy add_parent_group remove_parent_group add_children_groups'),
    ...words('remove_children_groups remove_all_children_groups list_children_groups'),
    ...words('set_child_client remove_child_client set_child_channel remove_child_channel'),
    ...words('create create_groups list list_groups'),
    ...ROLE_OPERATIONS,
  ],
  domains: [
    ...words('create update read enable disable freeze delete list'),
    ...words('send_invitation list_invitation list_domain_invitation delete_invitation'),
    ...words('create_clients list_clients create_channels list_channels create_groups list_groups'),
    ...ROLE_OPERATIONS,
  ],
  users: [
    ...COMMON,
    ...words(
      'create list search view_profile update_username update_email update_profile_picture update_role',
    ),
    'send_verification',
  ],
  messages: words('publish message_publish subscribe message_subscribe'),
  dashboards: words('share dashboard_share unshare dashboard_unshare'),
}

/** Two names for one thing. Domains are not among them: there `create_clients` is a word of its own. */
const ALIASES: Readonly<Partial<Record<ScopeType, Readonly<Record<string, string>>>>> = {
  clients: { create_clients: 'create', list_clients: 'list' },
  channels: { create_channels: 'create', list_channels: 'list' },
  groups: { create_groups: 'create', list_groups: 'list' },
  messages: { message_publish: 'publish', message_subscribe: 'subscribe' },
  dashboards: { dashboard_share: 'share', dashboard_unshare: 'unshare' },
}

/** Whether a scope for this operation names a domain; the others are about none (contract 9). */
export function isInDomain(type: ScopeType, operation: string): boolean {
  return type !== 'users' && !(type === 'domains' && (operation === 'create' || operation === 'list'))
}

/** Operations on no entity that there is already: a scope for them covers the type as a whole. */
export const isAboutAll = (operation: string): boolean => /^(create|list|search)(_|$)/.test(operation)

/** Something about to be done, in the words of scopes. */
export interface Deed {
  readonly entityType: ScopeType
  readonly operation: string
  readonly domainId: string | undefined
  /** `*` when it is about no one entity. */
  readonly entityId: string
}

/**
 * Whether the caller's token is good for it, under one of the names that it goes by. A token without scopes of its own is good
 * for everything that the user may do.
 */
export function isInScope({ scopes }: Principal, ...deeds: readonly Deed[]): boolean {
  return scopes === undefined || deeds.some((deed) => scopes.some((scope) => covers(scope, deed)))
}

function covers(scope: Scope, deed: Deed): boolean {
  return (
    scope.entityType === deed.entityType &&
    isOperation(scope, deed.operation) &&
    scope.domainId === deed.domainId &&
    (scope.entityId === '*' || scope.entityId === deed.entityId)
  )
}

const isOperation = ({ entityType, operation }: Scope, word: string) =>
  (ALIASES[entityType]?.[operation] ?? operation) === word

/**
 * The entities of a type for which the scopes name the operation: of these domains all, and these one by one.
 */
export function scopedEntities(scopes: readonly Scope[], entityType: ScopeType, operation: string) {
  const matching = scopes.filter((scope) => scope.entityType === entityType && isOperation(scope, operation))
  return {
    domainIds: matching.flatMap(({ domainId, entityId }) =>
      domainId !== undefined && entityId === '*' ? [domainId] : [],
    ),
    entities: matching.flatMap(({ domainId, entityId }) =>
      domainId !== undefined && entityId !== '*' ? [{ domainId, entityId }] : [],
    ),
  }
}
