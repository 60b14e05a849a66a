import type { SDK } from './magistrala.ts'

type Kind = 'Domain' | 'Group' | 'Client' | 'Channel'
type Call = (...args: unknown[]) => Promise<unknown>

/** The role methods of one entity type under one shape; the SDK orders their arguments differently for each. */
export function roleCalls(sdk: SDK, kind: Kind, entityId: string, domainId: string, token: string) {
  const methods = sdk[`${kind}s`] as unknown as Record<string, Call>
  const scope = kind === 'Domain' ? [entityId] : [entityId, domainId]
  const call = (name: string, ...args: unknown[]) => {
    const method = methods[name]
    if (!method) throw new Error(`the SDK has no ${name}`)
    // The methods use `this`.
    return method.call(methods, ...args)
  }
  const named = (verb: string, rest = '') => `${verb}${kind}${rest}`
  return {
    listActions: () => call(named('List', 'Actions'), ...(kind === 'Domain' ? [] : [domainId]), token),
    create(name: string, actions: string[], members: string[]) {
      const where =
        kind === 'Domain'
          ? [entityId, name]
          : kind === 'Group'
            ? [entityId, domainId, name]
            : [entityId, name, domainId]
      return call(named('Create', 'Role'), ...where, token, actions, members) as Promise<{ id: string }>
    },
    list: () => call(named('List', 'Roles'), ...scope, { offset: 0, limit: 10 }, token),
    view: (role: string) => call(named('View', 'Role'), ...scope, role, token),
    rename: (role: string, name: string) => call(named('Update', 'Role'), ...scope, role, { name }, token),
    remove: (role: string) => call(named('Delete', 'Role'), ...scope, role, token),
    addActions: (role: string, actions: string[]) =>
      call(named('Add', 'RoleActions'), ...scope, role, actions, token),
    actions: (role: string) => call(named('List', 'RoleActions'), ...scope, role, token),
    removeActions: (role: string, actions: string[]) =>
      call(named('Delete', 'RoleActions'), ...scope, role, actions, token),
    removeAllActions: (role: string) => call(named('DeleteAll', 'RoleActions'), ...scope, role, token),
    addMembers: (role: string, members: string[]) =>
      call(named('Add', 'RoleMembers'), ...scope, role, members, token),
    members: (role: string) =>
      call(named('List', 'RoleMembers'), ...scope, role, { offset: 0, limit: 10 }, token),
    removeMembers: (role: string, members: string[]) =>
      call(named('Delete', 'RoleMembers'), ...scope, role, members, token),
    removeAllMembers: (role: string) => call(named('DeleteAll', 'RoleMembers'), ...scope, role, token),
    entityMembers: () => call(named('List', 'Members'), ...scope, { offset: 0, limit: 10 }, token),
  }
}
