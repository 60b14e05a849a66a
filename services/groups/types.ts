import type { Entity, EntityChange } from '../entities/types.ts'

/** A node of a tree inside a domain; roles on it reach what it holds. */
export interface Group extends Entity {
  readonly parentId: string | null
  /** Ids from the root down to and including this group. */
  readonly path: readonly string[]
  readonly description: string
}

export interface NewGroup extends Pick<Group, 'domainId' | 'name' | 'description' | 'tags' | 'metadata'> {
  readonly parentId: string | undefined
  readonly status: 'enabled' | 'disabled'
}

export interface GroupChange extends EntityChange {
  readonly description?: string | undefined
}

/** A user with a role on a group, as much as the caller may see. */
export interface GroupMember {
  readonly id: string
  readonly firstName: string
  readonly lastName: string
  readonly username: string
  /** `undefined` for those who may not see it. */
  readonly email: string | undefined
  readonly tags: readonly string[]
  readonly metadata: Record<string, unknown>
  readonly status: 'enabled' | 'disabled' | 'deleted'
  readonly createdAt: Date
  readonly updatedAt: Date
}
