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
