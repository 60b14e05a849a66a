import type { Access, ContainedType, EntityType } from './types.ts'

const ROLE = ['manage_role', 'add_role_users', 'remove_role_users', 'view_role_users']
const CLIENT = ['update', 'read', 'delete', 'set_parent_group', 'connect_to_channel', ...ROLE]
const CHANNEL = [
  'update',
  'read',
  'delete',
  'set_parent_group',
  'connect_to_client',
  'publish',
  'subscribe',
  ...ROLE,
]
const GROUP = ['update', 'read', 'membership', 'delete', 'set_child', 'set_parent', ...ROLE]

/** What makes somebody an admin of a domain: all of it lets in while the domain is disabled (contract A.2, A.3). */
export const DOMAIN_ADMIN: readonly string[] = ['update', 'enable', 'disable', 'read', 'delete', ...ROLE]

const prefixed = (prefix: string, actions: readonly string[]) =>
  actions.map((action) => `${prefix}_${action}`)

/** What there is to do to an entity of the type itself, as opposed to what stands in it. */
export const OWN_ACTIONS: Readonly<Record<EntityType, readonly string[]>> = {
  client: CLIENT,
  channel: CHANNEL,
  group: [...GROUP, 'client_create', 'channel_create'],
  domain: DOMAIN_ADMIN,
}

/** Every action there is to give on an entity of the type (contract 8.1). */
export const AVAILABLE_ACTIONS: Readonly<Record<EntityType, readonly string[]>> = {
  client: CLIENT,
  channel: CHANNEL,
  group: [
    ...GROUP,
    'client_create',
    'channel_create',
    'subgroup_create',
    'subgroup_client_create',
    'subgroup_channel_create',
    ...prefixed('client', CLIENT),
    ...prefixed('channel', CHANNEL),
    ...prefixed('subgroup', GROUP),
    ...prefixed('subgroup_client', CLIENT),
    ...prefixed('subgroup_channel', CHANNEL),
  ],
  domain: [
    ...DOMAIN_ADMIN,
    'client_create',
    'channel_create',
    'group_create',
    ...prefixed('client', CLIENT),
    ...prefixed('channel', CHANNEL),
    ...prefixed('group', GROUP),
  ],
}

/**
 * The action that grants `action` on an entity when it is held further up: on its parent group, on a group above that one,
 * or on its domain (contract A.2). `undefined` where nothing is inherited.
 */
export function inheritedActions(type: EntityType, action: string) {
  switch (type) {
    case 'client':
    case 'channel':
      return {
        onParent: `${type}_${action}`,
        onAbove: `subgroup_${type}_${action}`,
        onDomain: `${type}_${action}`,
      }
    case 'group':
      return { onParent: `subgroup_${action}`, onAbove: `subgroup_${action}`, onDomain: `group_${action}` }
    case 'domain':
      return { onParent: undefined, onAbove: undefined, onDomain: action }
  }
}

/** Whether this role, from where it is held, grants the action on an entity of the type. */
export function grants(type: ContainedType, access: Access, action: string): boolean {
  const { onParent, onAbove, onDomain } = inheritedActions(type, action)
  const word = { direct: action, direct_group: onParent, indirect_group: onAbove, domain: onDomain }
  const needed = word[access.accessType]
  return needed !== undefined && access.actions.includes(needed)
}
