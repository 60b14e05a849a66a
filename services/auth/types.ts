import type { EntityType } from '../../platform/db/tables.ts'

export type { EntityType } from '../../platform/db/tables.ts'

export type { Principal } from '../../platform/principal.ts'

/** A token pair as signing in and refreshing answer it. */
export interface TokenPair {
  readonly accessToken: string
  readonly refreshToken: string
}

/** An entity with the domain it belongs to, as roles name it; a domain belongs to itself. */
export interface EntityRef {
  readonly type: EntityType
  readonly id: string
  readonly domainId: string
}

/** A named set of actions on one entity, with users as members. */
export interface Role {
  /** `<entity type>_<short random id>`; opaque to clients. */
  readonly id: string
  readonly name: string
  readonly entity: EntityRef
  /** Made with the entity, for its creator. */
  readonly isBuiltIn: boolean
  readonly actions: readonly string[]
  readonly createdBy: string
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly updatedBy: string | null
}

export interface NewRole {
  readonly name: string
  readonly actions: readonly string[]
  readonly memberIds: readonly string[]
}

/** What a batch of new roles has in common. */
export interface NewRoles {
  readonly entityType: EntityType
  readonly domainId: string
  readonly name: string
  readonly isBuiltIn: boolean
  readonly actions: readonly string[]
  readonly createdBy: string
  readonly memberIds: readonly string[]
}

/** Where access to an entity comes from: a role on it, on its parent group, on a group above that, or on its domain. */
export type AccessType = 'direct' | 'direct_group' | 'indirect_group' | 'domain'

/** A role through which a user has access to an entity. */
export interface Access {
  readonly roleId: string
  readonly roleName: string
  readonly actions: readonly string[]
  readonly accessType: AccessType
  /** The entity that the role is on; `null` when it is the very entity asked about. */
  readonly providerId: string | null
  /** Ids from the root group down to the providing one, joined by dots; `null` when no group provides. */
  readonly providerPath: string | null
}

/** A user who has access to an entity, and through which roles. */
export interface EntityMember {
  readonly memberId: string
  readonly roles: readonly Access[]
}
