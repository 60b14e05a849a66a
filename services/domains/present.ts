import { z } from 'zod'
import type { Domain, DomainAsSeen, Invitation } from './types.ts'

const time = z.iso.datetime()

/** A domain as answers show it (contract 4). */
export const PresentedDomain = z.object({
  id: z.guid(),
  name: z.string(),
  route: z.string(),
  tags: z.array(z.string()),
  metadata: z.record(z.string(), z.unknown()),
  status: z.enum(['enabled', 'disabled', 'freezed', 'deleted']),
  message_retention_days: z.number().int().optional(),
  created_by: z.guid(),
  created_at: time,
  updated_by: z.guid().optional(),
  updated_at: time,
})

/** A domain and the role that the caller has in it, if there is one. */
export const PresentedDomainAsSeen = PresentedDomain.extend({
  role_id: z.string().optional(),
  role_name: z.string().optional(),
  actions: z.array(z.string()).optional(),
})

export function presentDomain(domain: Domain) {
  return {
    id: domain.id,
    name: domain.name,
    route: domain.route,
    tags: domain.tags,
    metadata: domain.metadata,
    status: domain.status,
    message_retention_days: domain.messageRetentionDays ?? undefined,
    created_by: domain.createdBy,
    created_at: domain.createdAt,
    updated_by: domain.updatedBy ?? undefined,
    updated_at: domain.updatedAt,
  }
}

export function presentDomainAsSeen(domain: DomainAsSeen) {
  return {
    ...presentDomain(domain),
    role_id: domain.membership?.roleId,
    role_name: domain.membership?.roleName,
    actions: domain.membership?.actions,
  }
}

export const PresentedInvitation = z.object({
  invited_by: z.guid(),
  invitee_user_id: z.guid(),
  domain_id: z.guid(),
  domain_name: z.string(),
  role_id: z.string(),
  role_name: z.string(),
  actions: z.array(z.string()),
  created_at: time,
  updated_at: time,
  confirmed_at: time.optional(),
  rejected_at: time.optional(),
})

export function presentInvitation(invitation: Invitation) {
  return {
    invited_by: invitation.invitedBy,
    invitee_user_id: invitation.inviteeId,
    domain_id: invitation.domainId,
    domain_name: invitation.domainName,
    role_id: invitation.roleId,
    role_name: invitation.roleName,
    actions: invitation.actions,
    created_at: invitation.createdAt,
    updated_at: invitation.updatedAt,
    confirmed_at: invitation.confirmedAt ?? undefined,
    rejected_at: invitation.rejectedAt ?? undefined,
  }
}
