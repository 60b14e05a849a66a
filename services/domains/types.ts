/** A tenant. Groups, clients and channels belong to exactly one. */
export interface Domain {
  readonly id: string
  readonly name: string
  /** Alias used in topics and paths, unique among all domains; the id itself when none was chosen. */
  readonly route: string
  readonly tags: readonly string[]
  readonly metadata: Record<string, unknown>
  readonly status: 'enabled' | 'disabled' | 'freezed' | 'deleted'
  /** Days that messages are kept; `null`: as long as the platform keeps them. */
  readonly messageRetentionDays: number | null
  readonly createdBy: string
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly updatedBy: string | null
}

export interface NewDomain extends Pick<Domain, 'name' | 'tags' | 'metadata' | 'messageRetentionDays'> {
  readonly id: string | undefined
  readonly route: string | undefined
}

/** The role through which a member sees a domain. */
export interface Membership {
  readonly roleId: string
  readonly roleName: string
  readonly actions: readonly string[]
}

export type DomainAsSeen = Domain & { readonly membership: Membership | undefined }

/** Absent fields stay as they are. */
export type DomainChange = Partial<Pick<Domain, 'name' | 'tags' | 'metadata' | 'messageRetentionDays'>>

export type InvitationState = 'pending' | 'accepted' | 'rejected'

/** An offer of a role in a domain, good for seven days. There is at most one for a user and a domain. */
export interface Invitation {
  readonly domainId: string
  readonly domainName: string
  readonly inviteeId: string
  readonly invitedBy: string
  readonly roleId: string
  readonly roleName: string
  readonly actions: readonly string[]
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly confirmedAt: Date | null
  readonly rejectedAt: Date | null
}

export interface NewInvitation {
  readonly inviteeId: string
  readonly roleId: string
  /** Invites again somebody who has answered before. */
  readonly isResend: boolean
}

export function stateOf({ confirmedAt, rejectedAt }: Invitation): InvitationState {
  if (confirmedAt !== null) return 'accepted'
  return rejectedAt === null ? 'pending' : 'rejected'
}
