import type { GroupFilter, Listing } from '../../platform/db/listing.ts'
import type { Access, AccessType } from '../auth/types.ts'

/** What groups, clients and channels have in common. */
export interface Entity {
  readonly id: string
  readonly domainId: string
  readonly name: string
  readonly tags: readonly string[]
  readonly metadata: Record<string, unknown>
  readonly status: 'enabled' | 'disabled' | 'deleted'
  readonly createdBy: string
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly updatedBy: string | null
  /** Through which roles it is seen, the closest first; only where it was read or listed. */
  readonly access?: readonly Access[] | undefined
}

/** What stands in groups and is connected with the other kind. */
export type GroupedType = 'client' | 'channel'

/** What clients and channels have besides: they stand in at most one group. */
export interface Grouped extends Entity {
  readonly parentGroupId: string | null
  /** Ids of the groups above, from the root down, joined by dots; empty without a parent. */
  readonly parentGroupPath: string
  /** Only in lists of what is connected to something. */
  readonly connectionTypes: readonly ConnectionType[] | undefined
}

/** What creating them takes. */
export interface NewGrouped extends Pick<Entity, 'name' | 'tags' | 'metadata'> {
  readonly id: string | undefined
  readonly status: 'enabled' | 'disabled'
  readonly parentGroupId: string | undefined
}

/** One of these that is being created, with all that is settled for it. */
export type Placed<N extends NewGrouped = NewGrouped> = N & Pick<Entity, 'id' | 'domainId' | 'createdBy'>

/** Absent fields stay as they are. */
export interface EntityChange {
  readonly name?: string | undefined
  readonly metadata?: Record<string, unknown> | undefined
}

/** Keeps what is seen in this way (contract 1.5); absent fields keep all. */
export interface AccessFilter {
  /** All of them held. */
  readonly actions: readonly string[] | undefined
  readonly accessType: AccessType | undefined
  readonly roleId: string | undefined
  readonly roleName: string | undefined
}

export interface EntityListing extends Listing {
  /** `undefined`: the domains that the caller may see. */
  readonly domainId: string | undefined
  readonly access: AccessFilter
  readonly seenBy: SeenBy | undefined
  /** Where the entities stand, for clients and channels. */
  readonly group: GroupFilter | undefined
}

export type ConnectionType = 'publish' | 'subscribe'

/** Of clients or channels; those that are connected to one of the other kind. */
export interface GroupedListing extends EntityListing {
  readonly connected: { readonly to: string; readonly type: ConnectionType | undefined } | undefined
}

/** The list as another user sees it. */
export interface SeenBy {
  readonly userId: string
  /** Those who may not see it so see what both may see, instead of being refused (contract D36). */
  readonly orShared: boolean
}
