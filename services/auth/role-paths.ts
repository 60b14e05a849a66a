import { z } from 'zod'
import { uuid } from '../../platform/identifiers.ts'
import type { EntityRef, EntityType } from './types.ts'

/** What the routes of roles on one type of entity have in common. */
export type RolePaths = ReturnType<typeof rolePaths>

// A domain is its own entity, so its path names one thing alone.
interface EntityParams {
  readonly domain: string
  readonly entity?: string | undefined
}
type RoleParams = EntityParams & { readonly role: string }

const Domain = z.object({ domain: z.string() })
const InDomain = Domain.extend({ entity: uuid })
const role = z.string().max(100)

/**
 * Where the roles on entities of a type live (contract 8): below `/domains/{d}`, or `/{d}/groups/{id}` and its like.
 *
 * @param resolveDomain the id of the domain that a path names by id or route
 */
export function rolePaths(type: EntityType, resolveDomain: (reference: string) => Promise<string>) {
  const isDomain = type === 'domain'
  const prefix = isDomain ? '/domains' : `/:domain/${type}s`
  const roles = `${prefix}/${isDomain ? ':domain' : ':entity'}/roles`
  const Entity: z.ZodType<EntityParams> = isDomain ? Domain : InDomain
  const OneRole: z.ZodType<RoleParams> = isDomain ? Domain.extend({ role }) : InDomain.extend({ role })

  return {
    type,
    /** Path of what is about the type, not about an entity. */
    ofType: `${prefix}/roles`,
    onEntity: { path: roles, params: Entity },
    onMembers: { path: `${roles}/members`, params: Entity },
    /** @param tail behind the role's own path */
    onRole: (tail = '') => ({ path: `${roles}/:role${tail}`, params: OneRole }),
    entityOf: async ({ domain, entity }: EntityParams): Promise<EntityRef> => {
      const domainId = await resolveDomain(domain)
      return { type, id: entity ?? domainId, domainId }
    },
  }
}
