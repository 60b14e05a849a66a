import type { z } from 'zod'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint, Reply } from '../../platform/http/endpoint.ts'
import type { RequestContext } from '../../platform/http/input.ts'
import type { ContainedType, Principal } from '../auth/types.ts'
import type { createParentRules } from './parents.ts'
import type { EntityRules } from './rules.ts'
import type { Entity, Grouped, GroupedType } from './types.ts'
import { OneEntity, ParentGroupBody, presentRoles, RolesQuery, TagsBody } from './wire.ts'

/** Finds the domain that a path names by id or route. */
export interface DomainNames {
  resolveId(reference: string): Promise<string>
}

export interface EntityRoutes<T extends Entity, Change> {
  readonly type: ContainedType
  readonly entities: Pick<EntityRules<T>, 'get' | 'setTags' | 'enable' | 'disable' | 'remove'> & {
    update(principal: Principal, domainId: string, id: string, change: Change): Promise<T>
  }
  readonly domains: DomainNames
  readonly present: (entity: T) => Record<string, unknown>
  readonly response: z.ZodType
  readonly update: {
    readonly methods: readonly ('put' | 'patch')[]
    readonly summary: string
    readonly body: z.ZodType<Change>
  }
  /** The answer to a deletion, where it is not 204. */
  readonly onRemoved?: (ctx: Pick<RequestContext, 'get'>) => Reply
}

/** What is done to groups, clients and channels over the same routes: reading one, changing it, its tags, its status, deletion. */
export function entityEndpoints<T extends Entity, Change>(routes: EntityRoutes<T, Change>): Endpoint[] {
  const { type, entities, domains, present, response, update, onRemoved } = routes
  const path = `/:domain/${type}s/:id`

  const status = (verb: 'enable' | 'disable') =>
    endpoint({
      method: 'post',
      path: `${path}/${verb}`,
      summary: `${verb === 'enable' ? 'Enable' : 'Disable'} a ${type}`,
      access: 'user',
      params: OneEntity,
      status: 200,
      response,
      async handle({ principal, params }) {
        return present(await entities[verb](principal, await domains.resolveId(params.domain), params.id))
      },
    })

  return [
    endpoint({
      method: 'get',
      path,
      summary: `Read a ${type}; with roles=true also all roles through which one has access`,
      access: 'user',
      params: OneEntity,
      query: RolesQuery,
      status: 200,
      response,
      async handle({ principal, params, query }) {
        const entity = await entities.get(principal, await domains.resolveId(params.domain), params.id)
        return { ...present(entity), ...(query.roles ? presentRoles(principal, entity) : {}) }
      },
    }),

    ...update.methods.map((method) =>
      endpoint({
        method,
        path,
        summary: update.summary,
        access: 'user',
        params: OneEntity,
        body: update.body,
        status: 200,
        response,
        async handle({ principal, params, body }) {
          const domainId = await domains.resolveId(params.domain)
          return present(await entities.update(principal, domainId, params.id, body))
        },
      }),
    ),

    endpoint({
      method: 'patch',
      path: `${path}/tags`,
      summary: `Replace the tags of a ${type}`,
      access: 'user',
      params: OneEntity,
      body: TagsBody,
      status: 200,
      response,
      async handle({ principal, params, body }) {
        const domainId = await domains.resolveId(params.domain)
        return present(await entities.setTags(principal, domainId, params.id, body.tags))
      },
    }),

    status('enable'),
    status('disable'),

    endpoint({
      method: 'delete',
      path,
      summary: `Delete a ${type}`,
      access: 'user',
      params: OneEntity,
      status: 204,
      async handle({ ctx, principal, params }) {
        await entities.remove(principal, await domains.resolveId(params.domain), params.id)
        return onRemoved?.(ctx)
      },
    }),
  ]
}

/** Putting a client or a channel into a group, and taking it out. */
export function parentEndpoints({
  type,
  entities,
  domains,
}: {
  readonly type: GroupedType
  readonly entities: ReturnType<typeof createParentRules<Grouped>>
  readonly domains: DomainNames
}): Endpoint[] {
  const place = (params: z.output<typeof OneEntity>, principal: Principal) =>
    domains.resolveId(params.domain).then((domainId) => [principal, domainId, params.id] as const)

  return [
    endpoint({
      method: 'post',
      path: `/:domain/${type}s/:id/parent`,
      summary: `Put a ${type} into a group`,
      access: 'user',
      params: OneEntity,
      body: ParentGroupBody,
      status: 200,
      async handle({ principal, params, body }) {
        await entities.setParent(...(await place(params, principal)), body.parent_group_id)
      },
    }),

    endpoint({
      method: 'delete',
      path: `/:domain/${type}s/:id/parent`,
      summary: `Take a ${type} out of its group`,
      access: 'user',
      params: OneEntity,
      status: 204,
      async handle({ principal, params }) {
        await entities.removeParent(...(await place(params, principal)))
      },
    }),
  ]
}
