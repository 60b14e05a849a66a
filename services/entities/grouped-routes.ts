import { z } from 'zod'
import type { Page } from '../../platform/db/listing.ts'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { uuid } from '../../platform/identifiers.ts'
import type { Principal } from '../auth/types.ts'
import { listEndpoints } from './list-routes.ts'
import type { createParentRules } from './parents.ts'
import { entityEndpoints, parentEndpoints } from './routes.ts'
import type { EntityRoutes } from './routes.ts'
import type { Grouped, GroupedListing, GroupedType } from './types.ts'
import { connectionType, EntityQuery, InDomain } from './wire.ts'

const MAX_BULK = 1_000

const ListGrouped = EntityQuery.extend({
  /** Empty for those in no group, which `groupFilter` reads. */
  group: uuid.optional(),
  connection_type: connectionType.optional(),
})

interface GroupedRoutes<T extends Grouped, Change, New, Created, Q extends typeof ListGrouped> extends Omit<
  EntityRoutes<T, Change>,
  'type' | 'entities'
> {
  readonly type: GroupedType
  readonly entities: EntityRoutes<T, Change>['entities'] &
    ReturnType<typeof createParentRules> & {
      create(principal: Principal, domainId: string, inputs: readonly New[]): Promise<Created[]>
      list(principal: Principal, listing: GroupedListing): Promise<Page<T>>
    }
  readonly create: {
    readonly summary: string
    readonly body: z.ZodType<New>
    readonly present: (created: Created) => Record<string, unknown> & { readonly id: string }
  }
  /** The list's query, and what it names of the other kind. */
  readonly list: { readonly query: Q; readonly connectedTo: (query: z.output<Q>) => string | undefined }
}

/** What the lists of clients and channels take, and of the other kind what they are connected to. */
export const groupedQuery = <Shape extends z.ZodRawShape>(other: Shape) => ListGrouped.extend(other)

/** All that is done to clients and channels over the same routes (contract 6, 7). */
export function groupedEndpoints<T extends Grouped, Change, New, Created, Q extends typeof ListGrouped>(
  routes: GroupedRoutes<T, Change, New, Created, Q>,
): Endpoint[] {
  const { type, entities, domains, create, present, response } = routes
  const plural = `${type}s`
  return [
    endpoint({
      method: 'post',
      path: `/:domain/${plural}`,
      summary: create.summary,
      access: 'user',
      params: InDomain,
      body: create.body,
      status: 201,
      response,
      async handle({ ctx, principal, params, body }) {
        const domainId = await domains.resolveId(params.domain)
        const [created] = await entities.create(principal, domainId, [body])
        if (!created) throw new Error(`one ${type} went in and none came out`)
        const presented = create.present(created)
        ctx.set('Location', `/${plural}/${presented.id}`)
        return presented
      },
    }),

    endpoint({
      method: 'post',
      path: `/:domain/${plural}/bulk`,
      summary: `Create up to 1,000 ${plural}, all or none`,
      access: 'user',
      params: InDomain,
      body: z.array(create.body).min(1).max(MAX_BULK),
      status: 200,
      response: z.object({ total: z.int(), [plural]: z.array(response) }),
      async handle({ principal, params, body }) {
        const domainId = await domains.resolveId(params.domain)
        const created = await entities.create(principal, domainId, body)
        return { total: created.length, [plural]: created.map(create.present) }
      },
    }),

    ...listEndpoints({
      type,
      domains,
      query: routes.list.query,
      read(query) {
        const to = routes.list.connectedTo(query)
        return { connected: to === undefined ? undefined : { to, type: query.connection_type } }
      },
      list: (principal, listing) => entities.list(principal, listing),
      arrange: (page) => page.map(present),
      response,
    }),

    ...entityEndpoints(routes),
    ...parentEndpoints({ type, entities, domains }),
  ]
}
