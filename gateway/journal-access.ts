import { Forbidden, NotFound } from '../platform/errors.ts'
import type { Principal } from '../platform/principal.ts'
import type { Policy } from '../services/auth/service.ts'
import type { Domains } from '../services/domains/service.ts'
import type { JournalAccess } from '../services/journal/reader.ts'
import type { EntityType } from '../services/journal/types.ts'

/**
 * Who may read the journal of what: whoever may read the thing itself (contract 10). What is deleted nobody reads any more;
 * what became of it is for those who administer the domain.
 */
export function createJournalAccess({
  policy,
  domains,
}: {
  policy: Policy
  domains: Domains
}): JournalAccess {
  async function requireView(
    principal: Principal,
    domainId: string,
    type: EntityType,
    id: string,
  ): Promise<void> {
    if (type === 'user') return policy.requireMember(principal, 'domain.view', domainId)
    const isItself = type === 'domain'
    await policy.require(principal, `${type}.view`, isItself ? domainId : id, domainId)
    if (isItself && id !== domainId) throw new NotFound()
  }

  return {
    requireUser(principal, userId) {
      policy.requireScope(principal, 'users', 'view', userId)
      if (principal.userId !== userId && !principal.isSuperadmin) throw new Forbidden()
    },

    async requireEntity(principal, domain, type, id) {
      const domainId = await domains.resolveId(domain)
      try {
        await requireView(principal, domainId, type, id)
        return { domainId, isGone: false }
      } catch (error) {
        if (!(error instanceof NotFound) || !(await policy.administers(principal, domainId))) throw error
        return { domainId, isGone: true }
      }
    },
  }
}
