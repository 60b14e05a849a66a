import { z } from 'zod'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { flag, metadata, optional, tags, text } from '../../platform/http/input.ts'
import { route, uuid } from '../../platform/identifiers.ts'
import { commaList, envelope, listingQuery, pageOf, toListing } from '../../platform/http/listing.ts'
import { PresentedAccess, presentAccess } from '../auth/service.ts'
import { PresentedDomain, PresentedDomainAsSeen, presentDomain, presentDomainAsSeen } from './present.ts'
import type { DomainListing, Domains } from './service.ts'
import type { DomainAsSeen } from './types.ts'

/** First segments of paths that mean something else and so can never be a domain's route (contract 1.1). */
const RESERVED = new Set(
  (
    'users domains invitations clients channels groups connect disconnect password verify-email keys pats journal c m ' +
    'http ws mqtt hc health metrics publish subscriptions certs serials rules alarms reports authorize oauth docs ' +
    'healthz readyz openapi'
  ).split(' '),
)

const domainRoute = route.refine((value) => !RESERVED.has(value.toLowerCase()), 'is a reserved word')

/** Days; `null` for as long as the platform keeps messages. */
const retention = z.number().int().min(1).max(36_500).nullable().optional()

const CreateDomain = z
  .object({
    id: optional(uuid),
    name: text(1024).trim().min(1),
    route: optional(z.string()),
    // Go's older clients call it so.
    alias: optional(z.string()),
    tags: optional(tags),
    metadata: optional(metadata),
    message_retention_days: retention,
  })
  .transform(({ alias, ...body }, ctx) => {
    const wanted = body.route ?? alias
    // In the form of a UUID a route is allowed only where it says nothing new.
    if (wanted === undefined || wanted === body.id) return { ...body, route: undefined }
    const checked = domainRoute.safeParse(wanted)
    if (checked.success) return { ...body, route: checked.data }
    for (const issue of checked.error.issues) {
      ctx.addIssue({ code: 'custom', path: ['route'], message: issue.message })
    }
    return z.NEVER
  })

export const ListDomains = listingQuery(
  ['enabled', 'disabled', 'freezed', 'deleted'],
  ['name', 'created_at', 'updated_at'],
).extend({
  route: z.string().optional(),
  role_id: z.string().max(100).optional(),
  role_name: z.string().max(200).optional(),
  actions: commaList.optional(),
})

const UpdateDomain = z.object({
  name: optional(text(1024).trim().min(1)),
  tags: optional(tags),
  metadata: optional(metadata),
  message_retention_days: retention,
})

export const toDomainListing = (query: z.output<typeof ListDomains>): DomainListing => ({
  ...toListing(query),
  route: query.route,
  roleId: query.role_id,
  roleName: query.role_name,
  actions: query.actions,
})

const DomainRef = z.object({ domain: z.string() })

const STATUS_CHANGES = [
  { verb: 'enable', summary: 'Open a domain' },
  { verb: 'disable', summary: 'Shut a domain for all but its admins' },
  { verb: 'freeze', summary: 'Shut a domain for all but superadmins' },
] as const

/** A domain through its members' eyes, and with `roles=true` the caller's roles as other entities show them. */
const DomainInDetail = PresentedDomainAsSeen.extend({
  member_id: z.guid().optional(),
  roles: z.array(PresentedAccess).optional(),
})

function presentInDetail(domain: DomainAsSeen, memberId: string) {
  const { membership } = domain
  const roles = membership
    ? [{ ...membership, accessType: 'direct' as const, providerId: null, providerPath: null }]
    : []
  return { ...presentDomainAsSeen(domain), member_id: memberId, roles: roles.map(presentAccess) }
}

export function domainEndpoints(domains: Domains): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/domains',
      summary: 'Create a domain and become its admin',
      access: 'user',
      body: CreateDomain,
      status: 201,
      response: PresentedDomain,
      async handle({ ctx, principal, body }) {
        const domain = await domains.create(principal, {
          id: body.id,
          name: body.name,
          route: body.route,
          tags: body.tags ?? [],
          metadata: body.metadata ?? {},
          messageRetentionDays: body.message_retention_days ?? null,
        })
        ctx.set('Location', `/domains/${domain.id}`)
        return presentDomain(domain)
      },
    }),

    endpoint({
      method: 'get',
      path: '/domains',
      summary: 'List the domains one is a member of; superadmins see all',
      access: 'user',
      query: ListDomains,
      status: 200,
      response: pageOf('domains', PresentedDomainAsSeen),
      async handle({ principal, query }) {
        const listing = toDomainListing(query)
        return envelope('domains', await domains.list(principal, listing), listing, presentDomainAsSeen)
      },
    }),

    endpoint({
      method: 'get',
      path: '/domains/:domain',
      summary: 'Read a domain by its id or route',
      access: 'user',
      params: DomainRef,
      query: z.object({ roles: flag.default(false) }),
      status: 200,
      response: DomainInDetail,
      async handle({ principal, params, query }) {
        const domain = await domains.get(principal, await domains.resolveId(params.domain))
        return query.roles ? presentInDetail(domain, principal.userId) : presentDomainAsSeen(domain)
      },
    }),

    endpoint({
      method: 'patch',
      path: '/domains/:domain',
      summary: 'Change a domain; absent fields stay',
      access: 'user',
      params: DomainRef,
      body: UpdateDomain,
      status: 200,
      response: PresentedDomain,
      async handle({ principal, params, body: { message_retention_days: messageRetentionDays, ...body } }) {
        const change = { ...body, ...(messageRetentionDays === undefined ? {} : { messageRetentionDays }) }
        return presentDomain(await domains.update(principal, await domains.resolveId(params.domain), change))
      },
    }),

    ...STATUS_CHANGES.map(({ verb, summary }) =>
      endpoint({
        method: 'post',
        path: `/domains/:domain/${verb}`,
        summary,
        access: 'user',
        params: DomainRef,
        status: 200,
        response: PresentedDomain,
        handle: async ({ principal, params }) =>
          presentDomain(await domains.changeStatus(principal, await domains.resolveId(params.domain), verb)),
      }),
    ),

    endpoint({
      method: 'delete',
      path: '/domains/:domain',
      summary: 'Delete a domain',
      access: 'user',
      params: DomainRef,
      status: 204,
      handle: async ({ principal, params }) =>
        domains.remove(principal, await domains.resolveId(params.domain)),
    }),
  ]
}
