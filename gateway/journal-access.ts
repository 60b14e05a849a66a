import { Forbidden, NotFound } from '../platform/errors.ts'
import type { Policy } from '../services/auth/service.ts'
import type { Domains } from '../services/domains/service.ts'
import type { JournalAccess } from '../services/journal/reader.ts'

/** Who may read the journal of what: whoever may read the thing itself (contract 10). */
export function createJournalAccess({
  policy,
  domains,
}: {
  policy: Policy
  domains: Domains
}): JournalAccess {
  return {
    requireUser(principal, userId) {
      policy.requireScope(principal, 'users', 'view', userId)
      if (principal.userId !== userId && !principal.isSuperadmin) throw new Forbidden()
    },

    async requireEntity(principal, domain, type, id) {
      const domainId = await domains.resolveId(domain)
      if (type === 'user') await policy.requireMember(principal, 'domain.view', domainId)
      else if (type !== 'domain') await policy.require(principal, `${type}.view`, id, domainId)
      else {
        await policy.require(principal, 'domain.view', domainId)
        if (id !== domainId) throw new NotFound()
      }
      return domainId
    },
  }
}
