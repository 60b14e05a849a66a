import { Router } from '@koa/router'
import { z } from 'zod'
import { metadata, optional, readJson, readQuery, tags, text, uuid } from '../../platform/http/input.ts'
import { envelope, listingQuery, toListing } from '../../platform/http/listing.ts'
import type { RequestState } from '../auth/types.ts'
import type { Domains } from './service.ts'
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

const ListDomains = listingQuery(
  ['enabled', 'disabled', 'freezed', 'deleted'],
  ['name', 'created_at', 'updated_at'],
).extend({ route: z.string().optional() })

export function domainRoutes(domains: Domains): Router<RequestState> {
  const router = new Router<RequestState>({ prefix: '/domains' })

  router.post('/', async (ctx) => {
    const principal = await ctx.state.principal()
    const body = await readJson(ctx, CreateDomain)
    const domain = await domains.create(principal, {
      id: body.id,
      name: body.name,
      route: body.route,
      tags: body.tags ?? [],
      metadata: body.metadata ?? {},
    })
    ctx.status = 201
    ctx.set('Location', `/domains/${domain.id}`)
    ctx.body = present(domain)
  })

  router.get('/', async (ctx) => {
    const principal = await ctx.state.principal()
    const query = readQuery(ctx, ListDomains)
    const listing = { ...toListing(query), route: query.route }
    const page = await domains.list(principal, listing)
    ctx.body = envelope('domains', { total: page.total, items: page.items.map(presentAsSeen) }, listing)
  })

  router.get('/:domain', async (ctx) => {
    const principal = await ctx.state.principal()
    const id = await domains.resolveId(ctx.params.domain ?? '')
    ctx.body = presentAsSeen(await domains.get(principal, id))
  })

  return router
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

function presentAsSeen(domain: DomainAsSeen) {
  return {
    ...present(domain),
    role_id: domain.membership?.roleId,
    role_name: domain.membership?.roleName,
    actions: domain.membership?.actions,
  }
}
