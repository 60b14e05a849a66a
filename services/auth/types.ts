import type { EntityType } from '../../platform/db/tables.ts'
import type { Scope } from '../../platform/principal.ts'

export type { EntityType } from '../../platform/db/tables.ts'

export type { Principal } from '../../platform/principal.ts'

/** A token pair as signing in and refreshing answer it. */
export interface TokenPair {
  readonly accessToken: string
  readonly refreshToken: string
}

/** What stands inside a domain. */
export type ContainedType = Exclude<EntityType, 'domain'>

/** Which entities of a type a user may read, in the parts that a list can be read from by an index each. */
export interface Reach {
  readonly userId: string
  readonly type: ContainedType
  /** Domains of which the user reads all. */
  readonly whole: readonly string[]
  /** Domains that let the user in, of which roles on groups and on the entities decide. */
  readonly partly: readonly string[]
  /** Groups that give what is directly in them. */
  readonly parents: readonly string[]
  /** Groups that give what is in groups below them. */
  readonly ancestors: readonly string[]
}

/** Which of a user's roles are meant; an absent field means any. */
export interface RoleSelection {
  readonly roleId?: string | undefined
  readonly roleName?: string | undefined
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

/** A personal access token, its secret left out. */
export interface Pat {
  readonly id: string
  readonly userId: string
  readonly name: string
  readonly description: string
  readonly issuedAt: Date
  readonly expiresAt: Date
  readonly updatedAt: Date | null
  /** To the minute. */
  readonly lastUsedAt: Date | null
  readonly revokedAt: Date | null
}

export type PatStatus = 'active' | 'revoked' | 'expired'
export type NewPat = Pick<Pat, 'name' | 'description' | 'expiresAt'>

/** A token with its secret, which is shown this once. */
export interface CreatedPat {
  readonly pat: Pat
  readonly secret: string
}

export interface PatScope extends Scope {
  readonly id: string
  readonly patId: string
}
