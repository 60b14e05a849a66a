import { z } from 'zod'
import { parseDuration } from '../../platform/duration.ts'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { optional, text } from '../../platform/http/input.ts'
import { uuid } from '../../platform/identifiers.ts'
import { envelope, pageOf, pageQuery } from '../../platform/http/listing.ts'
import { SCOPE_TYPES } from '../../platform/principal.ts'
import type { Scope } from '../../platform/principal.ts'
import type { Pats } from './service.ts'
import { SCOPE_OPERATIONS, isAboutAll, isInDomain } from './scopes.ts'
import type { CreatedPat, Pat, PatScope } from './types.ts'

const MAX_DURATION_S = 100 * 366 * 86_400
const name = text(254).trim().min(1)
const description = text(1024)

/** How long a token holds, as Go writes durations; out comes when it ends. */
const duration = z.string().transform((value, ctx) => {
  const seconds = parseDuration(value)
  if (seconds !== undefined && seconds > 0 && seconds <= MAX_DURATION_S) {
    return new Date(Date.now() + seconds * 1_000)
  }
  ctx.addIssue({ code: 'custom', message: 'must be a duration such as 720h or 30d' })
  return z.NEVER
})

const ScopeInput = z
  .object({
    entity_type: z.enum(SCOPE_TYPES),
    domain_id: optional(uuid),
    entity_id: optional(z.union([z.literal('*'), uuid])),
    operation: z.string(),
  })
  .transform((input, ctx): Scope => {
    const { entity_type: entityType, operation } = input
    // A scope on a domain is in that domain.
    const own = entityType === 'domains' && input.entity_id !== '*' ? input.entity_id : undefined
    const domainId = input.domain_id ?? own
    const entityId = input.entity_id ?? (isAboutAll(operation) ? '*' : undefined)
    if (!SCOPE_OPERATIONS[entityType].includes(operation)) {
      ctx.addIssue({ code: 'custom', path: ['operation'], message: `is none of ${entityType}` })
    } else if (isInDomain(entityType, operation) && domainId === undefined) {
      ctx.addIssue({ code: 'custom', path: ['domain_id'], message: 'missing' })
    } else if (!isInDomain(entityType, operation) && domainId !== undefined) {
      ctx.addIssue({ code: 'custom', path: ['domain_id'], message: 'this operation is in no domain' })
    }
    if (entityId === undefined) ctx.addIssue({ code: 'custom', path: ['entity_id'], message: 'missing' })
    return { entityType, domainId, entityId: entityId ?? '', operation }
  })

const PatId = z.object({ pat: uuid })
const time = z.iso.datetime()

const PatBody = z.object({
  id: z.uuid(),
  user_id: z.uuid(),
  user: z.uuid(),
  name: z.string(),
  description: z.string(),
  issued_at: time,
  expires_at: time,
  updated_at: time.optional(),
  last_used_at: time.optional(),
  revoked: z.boolean(),
  revoked_at: time.optional(),
  status: z.enum(['active', 'revoked', 'expired']),
})
const CreatedPatBody = PatBody.extend({ secret: z.string() })

const ScopeBody = z.object({
  id: z.uuid(),
  pat_id: z.uuid(),
  entity_type: z.enum(SCOPE_TYPES),
  domain_id: z.uuid().optional(),
  entity_id: z.string(),
  operation: z.string(),
})

/** Personal access tokens of the caller (contract 9); a token cannot be used to make or change tokens. */
export function patEndpoints(pats: Pats): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/pats',
      summary: 'Make a personal access token; its secret is shown this once',
      access: 'session',
      body: z.object({ name, description: optional(description), duration }),
      status: 201,
      response: CreatedPatBody,
      handle: async ({ principal, body }) =>
        presentCreated(
          await pats.create(principal, {
            name: body.name,
            description: body.description ?? '',
            expiresAt: body.duration,
          }),
        ),
    }),

    endpoint({
      method: 'get',
      path: '/pats',
      summary: "List one's personal access tokens",
      access: 'session',
      query: z.object({
        ...pageQuery(),
        id: uuid.optional(),
        name: z.string().max(254).optional(),
        status: z.enum(['active', 'revoked', 'expired', 'all']).default('active'),
      }),
      status: 200,
      response: pageOf('pats', PatBody),
      async handle({ principal, query }) {
        const { id, name, status } = query
        const listing = { ...query, id, name, status: status === 'all' ? undefined : status }
        return envelope('pats', await pats.list(principal, listing), listing, present)
      },
    }),

    endpoint({
      method: 'delete',
      path: '/pats',
      summary: "Delete all of one's personal access tokens",
      access: 'session',
      status: 200,
      handle: async ({ principal }) => pats.removeAll(principal),
    }),

    endpoint({
      method: 'get',
      path: '/pats/:pat',
      summary: 'Read a personal access token',
      access: 'session',
      params: PatId,
      status: 200,
      response: PatBody,
      handle: async ({ principal, params }) => present(await pats.get(principal, params.pat)),
    }),

    endpoint({
      method: 'patch',
      path: '/pats/:pat/name',
      summary: 'Rename a personal access token',
      access: 'session',
      params: PatId,
      body: z.object({ name }),
      status: 202,
      response: PatBody,
      handle: async ({ principal, params, body }) => present(await pats.update(principal, params.pat, body)),
    }),

    endpoint({
      method: 'patch',
      path: '/pats/:pat/description',
      summary: 'Describe a personal access token anew',
      access: 'session',
      params: PatId,
      body: z.object({ description }),
      status: 202,
      response: PatBody,
      handle: async ({ principal, params, body }) => present(await pats.update(principal, params.pat, body)),
    }),

    endpoint({
      method: 'delete',
      path: '/pats/:pat',
      summary: 'Delete a personal access token',
      access: 'session',
      params: PatId,
      status: 204,
      handle: async ({ principal, params }) => pats.remove(principal, params.pat),
    }),

    endpoint({
      method: 'patch',
      path: '/pats/:pat/secret/reset',
      summary: 'Give a personal access token a new secret and a new end; the old secret dies',
      access: 'session',
      params: PatId,
      body: z.object({ duration }),
      status: 200,
      response: CreatedPatBody,
      handle: async ({ principal, params, body }) =>
        presentCreated(await pats.resetSecret(principal, params.pat, body.duration)),
    }),

    endpoint({
      method: 'patch',
      path: '/pats/:pat/secret/revoke',
      summary: 'Revoke a personal access token until its secret is reset',
      access: 'session',
      params: PatId,
      status: 204,
      handle: async ({ principal, params }) => pats.revoke(principal, params.pat),
    }),

    endpoint({
      method: 'patch',
      path: '/pats/:pat/scope/add',
      summary: 'Let a personal access token do more',
      access: 'session',
      params: PatId,
      body: z.object({ scopes: z.array(ScopeInput).min(1).max(1_000) }),
      status: 200,
      handle: async ({ principal, params, body }) => pats.addScopes(principal, params.pat, body.scopes),
    }),

    endpoint({
      method: 'patch',
      path: '/pats/:pat/scope/remove',
      summary: 'Let a personal access token do less',
      access: 'session',
      params: PatId,
      body: z.object({ scopes_id: z.array(uuid).min(1).max(1_000) }),
      status: 200,
      handle: async ({ principal, params, body }) => pats.removeScopes(principal, params.pat, body.scopes_id),
    }),

    endpoint({
      method: 'get',
      path: '/pats/:pat/scope',
      summary: 'List what a personal access token is good for',
      access: 'session',
      params: PatId,
      query: z.object({ ...pageQuery(), id: uuid.optional() }),
      status: 200,
      response: pageOf('scopes', ScopeBody),
      async handle({ principal, params, query }) {
        const listing = { ...query, id: query.id }
        return envelope('scopes', await pats.listScopes(principal, params.pat, listing), query, presentScope)
      },
    }),

    endpoint({
      method: 'delete',
      path: '/pats/:pat/scope',
      summary: 'Take all scopes from a personal access token',
      access: 'session',
      params: PatId,
      status: 200,
      handle: async ({ principal, params }) => pats.removeScopes(principal, params.pat),
    }),
  ]
}

function present(pat: Pat): z.input<typeof PatBody> {
  const revokedAt = pat.revokedAt?.toISOString()
  return {
    id: pat.id,
    user_id: pat.userId,
    user: pat.userId,
    name: pat.name,
    description: pat.description,
    issued_at: pat.issuedAt.toISOString(),
    expires_at: pat.expiresAt.toISOString(),
    updated_at: pat.updatedAt?.toISOString(),
    last_used_at: pat.lastUsedAt?.toISOString(),
    revoked: revokedAt !== undefined,
    revoked_at: revokedAt,
    status: revokedAt !== undefined ? 'revoked' : pat.expiresAt <= new Date() ? 'expired' : 'active',
  }
}

const presentCreated = ({ pat, secret }: CreatedPat) => ({ ...present(pat), secret })

const presentScope = (scope: PatScope): z.input<typeof ScopeBody> => ({
  id: scope.id,
  pat_id: scope.patId,
  entity_type: scope.entityType,
  domain_id: scope.domainId,
  entity_id: scope.entityId,
  operation: scope.operation,
})
