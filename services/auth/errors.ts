import { Conflict, Forbidden, InvalidInput } from '../../platform/errors.ts'

/**
 * What everybody hears whom the domain does not let in, about things that are there and things that are not: members alone
 * are told more.
 */
export class OutsideDomain extends Forbidden {
  constructor() {
    super('failed to perform authorization over the domain')
  }
}

export class RoleNameTaken extends Conflict {
  constructor(options?: ErrorOptions) {
    super('role_name_taken', 'entity already exists: role name', options)
  }
}

export class AlreadyInRole extends Conflict {
  constructor(userId: string) {
    super('already_in_role', `user ${userId} already has a role on the entity`)
  }
}

export class UnknownAction extends InvalidInput {
  constructor(action: string) {
    super(`actions: unknown action ${action}`, { code: 'unknown_action' })
  }
}

export class UnknownUser extends InvalidInput {
  constructor(userId: string) {
    super(`no such user: ${userId}`, { code: 'unknown_user' })
  }
}

export class NotInDomain extends InvalidInput {
  constructor(userId: string) {
    super(`member id is not member of domain: ${userId}`, { code: 'not_in_domain' })
  }
}

export class LastAdmin extends InvalidInput {
  constructor() {
    super("the domain's role admin must retain at least one member", { code: 'last_admin' })
  }
}

export class BuiltInRole extends InvalidInput {
  constructor() {
    super("the domain's built-in role admin stays, with the actions that make an admin", {
      code: 'built_in_role',
    })
  }
}

export class ScopeTaken extends Conflict {
  constructor(options?: ErrorOptions) {
    super('scope_taken', 'scope already exists', options)
  }
}
