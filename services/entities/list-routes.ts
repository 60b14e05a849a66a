import { z } from 'zod'
import type { Page } from '../../platform/db/listing.ts'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { uuid } from '../../platform/identifiers.ts'
import type { RequestContext } from '../../platform/http/input.ts'
import { envelope, groupFilter, pageOf } from '../../platform/http/listing.ts'
import type { ContainedType, Principal } from '../auth/types.ts'
import type { DomainNames } from './routes.ts'
import type { EntityListing } from './types.ts'
import { InDomain, toEntityListing } from './wire.ts'
import type { EntityQuery } from './wire.ts'

interface ListRoutes<Q extends z.ZodObject, L, T> {
  readonly type: ContainedType
  readonly domains: DomainNames
  readonly query: Q
  /** The parts of the listing that are the type's own. */
  readonly read: (query: z.output<Q>) => L
  readonly list: (principal: Principal, listing: EntityListing & L) => Promise<Page<T>>
  /** The items as the answer shows them, in the order or the shape that the listing asks for. */
  readonly arrange: (items: readonly T[], listing: EntityListing & L) => readonly unknown[]
  readonly response: z.ZodType
}

const OfUser = InDomain.extend({ user: uuid })
const OfGroup = InDomain.extend({ group: uuid })

/** What the path says of the list. */
interface Place {
  readonly domain?: string | undefined
  readonly user?: string
  readonly group?: string
}

/**
 * A domain's list of groups, clients or channels, that of what one of its users sees (contract D36), and that of what a group
 * holds (contract 5, 6, 7).
 */
export function listEndpoints<Q extends typeof EntityQuery, L, T>(routes: ListRoutes<Q, L, T>): Endpoint[] {
  const { type, domains, query: schema, read, list, arrange, response } = routes
  const plural = `${type}s`

  async function answer(
    principal: Principal,
    query: z.output<Q>,
    { domain, user, group }: Place,
    ctx: Pick<RequestContext, 'query'>,
  ) {
    const domainId = domain === undefined ? undefined : await domains.resolveId(domain)
    const listing = {
      ...toEntityListing(query, domainId, user),
      group: group === undefined ? groupFilter(ctx) : { subtreeOf: group },
      ...read(query),
    }
    const { total, items } = await list(principal, listing)
    return envelope(plural, { total, items: [...arrange(items, listing)] }, listing, (item) => item)
  }

  const common = {
    method: 'get',
    query: schema,
    status: 200,
    response: pageOf(plural, response),
  } as const
  const ofDomain = endpoint({
    ...common,
    access: 'user',
    // The seed lists clients and channels over all domains (contract D5); groups it does not.
    path: type === 'group' ? `/:domain/${plural}` : [`/:domain/${plural}`, `/${plural}`],
    summary: `List the ${plural} that one may read`,
    params: z.object({ domain: z.string().optional() }),
    handle: ({ ctx, principal, params, query }) => answer(principal, query, params, ctx),
  })
  const ofUser = endpoint({
    ...common,
    access: 'user',
    path: `/:domain/users/:user/${plural}`,
    summary: `List the ${plural} that a user may read, as far as the caller may see them`,
    params: OfUser,
    handle: ({ ctx, principal, params, query }) => answer(principal, query, params, ctx),
  })
  if (type === 'group') return [ofDomain, ofUser]
  const ofGroup = endpoint({
    ...common,
    access: 'user',
    path: `/:domain/groups/:group/${plural}`,
    summary: `List the ${plural} in a group and the groups below it`,
    params: OfGroup,
    handle: ({ ctx, principal, params, query }) => answer(principal, query, params, ctx),
  })
  return [ofDomain, ofUser, ofGroup]
}
