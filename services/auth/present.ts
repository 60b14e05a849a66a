import { z } from 'zod'
import type { Access, Role } from './types.ts'

const words = z.array(z.string())

/** A role as answers show it (contract 8). */
export const PresentedRole = z.object({
  id: z.string(),
  name: z.string(),
  entity_id: z.guid(),
  actions: words,
  created_by: z.guid(),
  created_at: z.iso.datetime(),
  updated_by: z.guid().optional(),
  updated_at: z.iso.datetime(),
})

export function presentRole(role: Role) {
  return {
    id: role.id,
    name: role.name,
    entity_id: role.entity.id,
    actions: role.actions,
    created_by: role.createdBy,
    created_at: role.createdAt,
    updated_by: role.updatedBy ?? undefined,
    updated_at: role.updatedAt,
  }
}

/** A role through which somebody has access, as answers show it (contract 4, 8). */
export const PresentedAccess = z.object({
  role_id: z.string(),
  role_name: z.string(),
  actions: words,
  access_type: z.enum(['direct', 'direct_group', 'indirect_group', 'domain']),
  access_provider_id: z.guid().optional(),
  access_provider_path: z.string().optional(),
})

export function presentAccess(access: Access) {
  return {
    role_id: access.roleId,
    role_name: access.roleName,
    actions: access.actions,
    access_type: access.accessType,
    access_provider_id: access.providerId ?? undefined,
    access_provider_path: access.providerPath ?? undefined,
  }
}
