import { z } from 'zod'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { metadata, optional, tags, text, uuid } from '../../platform/http/input.ts'
import { envelope, listingQuery, toListing } from '../../platform/http/listing.ts'
import type { DomainListing, Domains } from './service.ts'
import type { Domain, DomainAsSeen } from './types.ts'

/** First segments of paths that mean something else and so can never be a domain's route (contract 1.1). */
const RESERVED = new Set(
  (
    'users domains invitations clients channels groups connect disconnect password verify-email keys pats journal c m ' +
    'http ws mqtt hc health metrics publish subscriptions certs serials rules alarms reports authorize oauth docs ' +
    'healthz readyz openapi'
  ).split(' '),
)

const route = z
  .string()
  .regex(/^[a-zA-Z][a-zA-Z0-9_-]{0,35}$/, 'must be 1 to 36 letters, digits, - or _, a letter first')
  .refine((value) => !/__|--/.test(value), 'must not hold __ or --')
  .refine((value) => !uuid.safeParse(value).success, 'must not be in the form of a UUID')
  .refine((value) => !RESERVED.has(value.toLowerCase()), 'is a reserved word')

const CreateDomain = z
  .object({
    id: optional(uuid),
    name: text(1024).trim().min(1),
    route: optional(z.string()),
    // Go's older clients call it so.
    alias: optional(z.string()),
    tags: optional(tags),
    metadata: optional(metadata),
  })
  .transform(({ alias, ...body }, ctx) => {
    const wanted = body.route ?? alias
    // In the form of a UUID a route is allowed only where it says nothing new.
    if (wanted === undefined || wanted === body.id) return { ...body, route: undefined }
    const checked = route.safeParse(wanted)
    if (checked.success) return { ...body, route: checked.data }
    for (const issue of checked.error.issues) {
      ctx.addIssue({ code: 'custom', path: ['route'], message: issue.message })
    }
    return z.NEVER
  })

export const ListDomains = listingQuery(
  ['enabled', 'disabled', 'freezed', 'deleted'],
  ['name', 'created_at', 'updated_at'],
).extend({ route: z.string().optional() })

export const toDomainListing = (query: z.output<typeof ListDomains>): DomainListing => ({
  ...toListing(query),
  route: query.route,
})

const DomainRef = z.object({ domain: z.string() })

export function domainEndpoints(domains: Domains): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/domains',
      summary: 'Create a domain and become its admin',
      access: 'user',
      body: CreateDomain,
      status: 201,
      async handle({ ctx, principal, body }) {
        const domain = await domains.create(principal, {
          id: body.id,
          name: body.name,
          route: body.route,
          tags: body.tags ?? [],
          metadata: body.metadata ?? {},
        })
        ctx.set('Location', `/domains/${domain.id}`)
        return present(domain)
      },
    }),

    endpoint({
      method: 'get',
      path: '/domains',
      summary: 'List the domains one is a member of; superadmins see all',
      access: 'user',
      query: ListDomains,
      status: 200,
      async handle({ principal, query }) {
        const listing = toDomainListing(query)
        return envelope('domains', await domains.list(principal, listing), listing, presentAsSeen)
      },
    }),

    endpoint({
      method: 'get',
      path: '/domains/:domain',
      summary: 'Read a domain by its id or route',
      access: 'user',
      params: DomainRef,
      status: 200,
      async handle({ principal, params }) {
        const id = await domains.resolveId(params.domain)
        return presentAsSeen(await domains.get(principal, id))
      },
    }),
  ]
}

function present(domain: Domain) {
  return {
    id: domain.id,
    name: domain.name,
    route: domain.route,
    tags: domain.tags,
    metadata: domain.metadata,
    status: domain.status,
    created_by: domain.createdBy,
    created_at: domain.createdAt,
    updated_by: domain.updatedBy ?? undefined,
    updated_at: domain.updatedAt,
  }
}

export function presentAsSeen(domain: DomainAsSeen) {
  return {
    ...present(domain),
    role_id: domain.membership?.roleId,
    role_name: domain.membership?.roleName,
    actions: domain.membership?.actions,
  }
}
