import type { Deed } from './scopes.ts'
import type { EntityType } from './types.ts'

interface Operation {
  /** What it is done to. */
  readonly on: EntityType
  /** The action that a role must hold there, or further up (contract A.1, A.2). */
  readonly action: string
  /** What a personal access token's scope calls it (contract 9). */
  readonly scope: string
}

const on = (type: EntityType, action: string, scope: string): Operation => ({ on: type, action, scope })

/** What is done to the roles of an entity, whatever its type; scopes call it the same (contract 8, 9). */
const ROLE_OPERATIONS = {
  role_add: 'manage_role',
  role_update: 'manage_role',
  role_remove: 'manage_role',
  role_add_actions: 'manage_role',
  role_remove_actions: 'manage_role',
  role_remove_all_actions: 'manage_role',
  role_retrieve: 'view_role_users',
  role_retrieve_all: 'view_role_users',
  role_list_actions: 'view_role_users',
  role_list_members: 'view_role_users',
  role_add_members: 'add_role_users',
  role_remove_members: 'remove_role_users',
  role_remove_all_members: 'remove_role_users',
} as const

type RoleOperation = keyof typeof ROLE_OPERATIONS

function roleOperations<T extends EntityType>(type: T) {
  const operations = Object.entries(ROLE_OPERATIONS).map(([name, action]) => [
    `${type}.${name}`,
    on(type, action, name),
  ])
  return Object.fromEntries(operations) as Readonly<Record<`${T}.${RoleOperation}`, Operation>>
}

/** Everything that is done to an entity and needs a permission. Services name what they do; what it takes stands here alone. */
export const OPERATIONS = {
  'domain.view': on('domain', 'read', 'read'),
  'domain.update': on('domain', 'update', 'update'),
  'domain.enable': on('domain', 'enable', 'enable'),
  'domain.disable': on('domain', 'disable', 'disable'),
  // No role can hold it, so superadmins alone pass (contract A.1).
  'domain.freeze': on('domain', 'freeze', 'freeze'),
  // Scopes have no word for it (contract 9), so no personal access token reaches it.
  'domain.delete': on('domain', 'delete', 'delete'),
  'domain.send_invitation': on('domain', 'manage_role', 'send_invitation'),
  'domain.list_invitations': on('domain', 'manage_role', 'list_domain_invitation'),
  'domain.delete_invitation': on('domain', 'manage_role', 'delete_invitation'),
  ...roleOperations('domain'),
  'domain.create_client': on('domain', 'client_create', 'create_clients'),
  'domain.create_channel': on('domain', 'channel_create', 'create_channels'),
  'domain.create_group': on('domain', 'group_create', 'create_groups'),
  'domain.list_clients': on('domain', 'membership', 'list_clients'),
  'domain.list_channels': on('domain', 'membership', 'list_channels'),
  'domain.list_groups': on('domain', 'membership', 'list_groups'),
  'group.view': on('group', 'read', 'view'),
  'group.list_children': on('group', 'read', 'list_children_groups'),
  'group.list_parents': on('group', 'read', 'retrieve_group_hierarchy'),
  'group.retrieve_hierarchy': on('group', 'read', 'retrieve_group_hierarchy'),
  'group.update': on('group', 'update', 'update'),
  'group.update_tags': on('group', 'update', 'update_tags'),
  'group.enable': on('group', 'update', 'enable'),
  'group.disable': on('group', 'update', 'disable'),
  'group.remove': on('group', 'delete', 'delete'),
  'group.set_parent': on('group', 'set_parent', 'add_parent_group'),
  'group.remove_parent': on('group', 'set_parent', 'remove_parent_group'),
  'group.add_children': on('group', 'set_child', 'add_children_groups'),
  'group.remove_children': on('group', 'set_child', 'remove_children_groups'),
  'group.remove_all_children': on('group', 'set_child', 'remove_all_children_groups'),
  'group.create_client': on('group', 'client_create', 'set_child_client'),
  'group.create_channel': on('group', 'channel_create', 'set_child_channel'),
  'group.create_group': on('group', 'subgroup_create', 'add_children_groups'),
  'group.set_child_client': on('group', 'set_child', 'set_child_client'),
  'group.set_child_channel': on('group', 'set_child', 'set_child_channel'),
  'group.set_child_group': on('group', 'set_child', 'add_children_groups'),
  'group.remove_child_client': on('group', 'set_child', 'remove_child_client'),
  'group.remove_child_channel': on('group', 'set_child', 'remove_child_channel'),
  'group.remove_child_group': on('group', 'set_child', 'remove_children_groups'),
  ...roleOperations('group'),
  'client.view': on('client', 'read', 'view'),
  'client.update': on('client', 'update', 'update'),
  'client.update_tags': on('client', 'update', 'update_tags'),
  'client.update_secret': on('client', 'update', 'update_secret'),
  'client.enable': on('client', 'update', 'enable'),
  'client.disable': on('client', 'update', 'disable'),
  'client.remove': on('client', 'delete', 'delete'),
  'client.set_parent': on('client', 'set_parent_group', 'set_parent_group'),
  'client.remove_parent': on('client', 'set_parent_group', 'remove_parent_group'),
  'client.connect': on('client', 'connect_to_channel', 'connect_to_channel'),
  'client.disconnect': on('client', 'connect_to_channel', 'disconnect_from_channel'),
  ...roleOperations('client'),
  'channel.view': on('channel', 'read', 'view'),
  'channel.update': on('channel', 'update', 'update'),
  'channel.update_tags': on('channel', 'update', 'update_tags'),
  'channel.enable': on('channel', 'update', 'enable'),
  'channel.disable': on('channel', 'update', 'disable'),
  'channel.remove': on('channel', 'delete', 'delete'),
  'channel.set_parent': on('channel', 'set_parent_group', 'set_parent_group'),
  'channel.remove_parent': on('channel', 'set_parent_group', 'remove_parent_group'),
  'channel.connect': on('channel', 'connect_to_client', 'connect_client'),
  'channel.disconnect': on('channel', 'connect_to_client', 'disconnect_client'),
  'channel.publish': on('channel', 'publish', 'publish'),
  'channel.subscribe': on('channel', 'subscribe', 'subscribe'),
  ...roleOperations('channel'),
} as const satisfies Readonly<Record<string, Operation>>

export type OperationName = keyof typeof OPERATIONS

/**
 * The names by which scopes allow an operation. Creating and listing in a domain go by two: as something done to the domain, and
 * as something done to entities of the type.
 */
export function deedsOf(
  name: OperationName,
  domainId: string | undefined,
  entityId: string,
): readonly Deed[] {
  const { on, action, scope }: Operation = OPERATIONS[name]
  if (on === 'channel' && (action === 'publish' || action === 'subscribe')) {
    return [{ entityType: 'messages', operation: action, domainId, entityId }]
  }
  const deed: Deed = { entityType: `${on}s`, operation: scope, domainId, entityId }
  const [, verb, type] = /^(create|list)_(clients|channels|groups)$/.exec(scope) ?? []
  if (on !== 'domain' || verb === undefined || type === undefined) return [deed]
  return [
    deed,
    { entityType: type as 'clients' | 'channels' | 'groups', operation: verb, domainId, entityId: '*' },
  ]
}
