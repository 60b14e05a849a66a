import { z } from 'zod'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { uuid } from '../../platform/identifiers.ts'
import { envelope, pageOf } from '../../platform/http/listing.ts'
import { PresentedDomainAsSeen, presentDomainAsSeen } from './present.ts'
import { ListDomains, toDomainListing } from './routes.ts'
import type { Domains } from './service.ts'

/** Domains as one looks at them from a user (contract D36). */
export function domainsOfUserEndpoints(domains: Domains): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/users/:user/domains',
      summary: 'List the domains that a user is a member of; for that user and for superadmins',
      access: 'user',
      params: z.object({ user: uuid }),
      query: ListDomains,
      status: 200,
      response: pageOf('domains', PresentedDomainAsSeen),
      async handle({ principal, params, query }) {
        const listing = toDomainListing(query)
        return envelope(
          'domains',
          await domains.listOf(principal, params.user, listing),
          listing,
          presentDomainAsSeen,
        )
      },
    }),
  ]
}
