import { z } from 'zod'
import { InvalidInput } from '../../platform/errors.ts'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { flag } from '../../platform/http/input.ts'
import { uuid } from '../../platform/identifiers.ts'
import { envelope, listingQuery, pageOf, toListing } from '../../platform/http/listing.ts'
import type { DomainNames } from '../entities/routes.ts'
import { OneEntity } from '../entities/wire.ts'
import { MAX_DEPTH } from './errors.ts'
import type { Groups, Levels } from './service.ts'
import { GroupBody, nest, presentGroup } from './wire.ts'

const MAX_CHILDREN = 1_000
// A tree is one answer: as many groups as a subtree may reasonably have, not a page of them.
const MAX_TREE = 10_000

const TreeQuery = listingQuery(
  ['enabled', 'disabled', 'deleted'],
  ['name', 'created_at', 'updated_at'],
).extend({ tree: flag.default(false) })

const ListChildren = TreeQuery.extend({
  start_level: z.coerce.number().int().min(0).max(MAX_DEPTH).default(1),
  end_level: z.coerce.number().int().min(-1).max(MAX_DEPTH).default(0),
})

/** A number, or a word: `asc` is down, `desc` up (contract D23). */
const direction = z
  .union([
    z.enum(['asc', 'desc']).transform((word) => (word === 'asc' ? -1 : 1)),
    z.coerce.number().int().min(-20).max(20),
  ])
  .optional()

const Hierarchy = z.object({
  level: z.coerce.number().int().min(0).max(MAX_DEPTH).default(0),
  tree: flag.default(false),
  dir: direction,
  direction,
})

const ParentBody = z.object({ parent_id: uuid })
const ChildrenBody = z.object({
  children_ids: z
    .array(uuid)
    .min(1, 'empty list provided')
    .max(MAX_CHILDREN)
    .transform((ids) => [...new Set(ids)]),
})

/** Where groups stand in the tree of their domain, and moving them about in it (contract 5). */
export function groupTreeEndpoints(parts: { groups: Groups; domains: DomainNames }): Endpoint[] {
  return [...readingEndpoints(parts), ...movingEndpoints(parts)]
}

function readingEndpoints({ groups, domains }: { groups: Groups; domains: DomainNames }): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/:domain/groups/:id/children',
      summary: 'List groups below a group, level by level or as one tree',
      access: 'user',
      params: OneEntity,
      query: ListChildren,
      status: 200,
      response: pageOf('groups', GroupBody),
      async handle({ principal, params, query }) {
        const domainId = await domains.resolveId(params.domain)
        const listing = toListing(query)
        const [levels, wanted] = query.tree
          ? [
              { from: 0, to: undefined },
              { ...listing, offset: 0, limit: MAX_TREE },
            ]
          : [readLevels(query.start_level, query.end_level), listing]
        const found = await groups.listChildren(principal, domainId, params.id, levels, wanted)
        const { group, children } = found
        const depth = group.path.length
        if (query.tree) {
          // What has lost its parent to the filter is left out with it.
          const items = nest(children.items, depth).filter((root) => root.id === group.id)
          return envelope('groups', { total: children.total, items }, listing, (one) => one)
        }
        return envelope('groups', children, listing, (one) => presentGroup(one, one.path.length - depth))
      },
    }),

    endpoint({
      method: 'get',
      path: '/:domain/groups/:id/parents',
      summary: 'List the groups above a group, or all as one tree from the root down to it',
      access: 'user',
      params: OneEntity,
      query: TreeQuery,
      status: 200,
      response: pageOf('groups', GroupBody),
      async handle({ principal, params, query }) {
        const domainId = await domains.resolveId(params.domain)
        const listing = toListing(query)
        const wanted = query.tree ? { ...listing, offset: 0, limit: MAX_DEPTH } : listing
        const { group, parents } = await groups.listParents(principal, domainId, params.id, wanted)
        const depth = group.path.length
        if (query.tree) {
          const page = { total: parents.total, items: nest([...parents.items, group], depth) }
          return envelope('groups', page, listing, (one) => one)
        }
        return envelope('groups', parents, listing, (one) => presentGroup(one, one.path.length - depth))
      },
    }),

    endpoint({
      method: 'get',
      path: '/:domain/groups/:id/hierarchy',
      summary: 'Read the groups above a group, or those below it, with itself',
      access: 'user',
      params: OneEntity,
      query: Hierarchy,
      status: 200,
      response: z.object({ level: z.int(), direction: z.int(), groups: z.array(GroupBody) }),
      async handle({ principal, params, query }) {
        const domainId = await domains.resolveId(params.domain)
        const way = query.direction ?? query.dir ?? -1
        const depth = query.level === 0 ? MAX_DEPTH : query.level
        const found = await groups.hierarchy(principal, domainId, params.id, {
          direction: way < 0 ? 'down' : 'up',
          depth,
          limit: MAX_TREE,
        })
        return {
          level: query.level,
          direction: way,
          groups: query.tree ? nest(found) : found.map((group) => presentGroup(group)),
        }
      },
    }),
  ]
}

function movingEndpoints({ groups, domains }: { groups: Groups; domains: DomainNames }): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/:domain/groups/:id/parent',
      summary: 'Put a group, with all below it, under a parent',
      access: 'user',
      params: OneEntity,
      body: ParentBody,
      status: 200,
      async handle({ principal, params, body }) {
        await groups.setParent(principal, await domains.resolveId(params.domain), params.id, body.parent_id)
      },
    }),

    endpoint({
      method: 'delete',
      path: '/:domain/groups/:id/parent',
      summary: 'Make a root of a group',
      access: 'user',
      params: OneEntity,
      status: 204,
      async handle({ principal, params }) {
        await groups.removeParent(principal, await domains.resolveId(params.domain), params.id)
      },
    }),

    endpoint({
      method: 'post',
      path: '/:domain/groups/:id/children',
      summary: 'Put groups under this one, all or none',
      access: 'user',
      params: OneEntity,
      body: ChildrenBody,
      status: 200,
      async handle({ principal, params, body }) {
        const domainId = await domains.resolveId(params.domain)
        await groups.addChildren(principal, domainId, params.id, body.children_ids)
      },
    }),

    endpoint({
      method: 'delete',
      path: '/:domain/groups/:id/children',
      summary: 'Make roots of children of a group',
      access: 'user',
      params: OneEntity,
      body: ChildrenBody,
      status: 204,
      async handle({ principal, params, body }) {
        const domainId = await domains.resolveId(params.domain)
        await groups.removeChildren(principal, domainId, params.id, body.children_ids)
      },
    }),

    endpoint({
      method: 'delete',
      path: '/:domain/groups/:id/children/all',
      summary: 'Make roots of all children of a group',
      access: 'user',
      params: OneEntity,
      status: 204,
      async handle({ principal, params }) {
        await groups.removeAllChildren(principal, await domains.resolveId(params.domain), params.id)
      },
    }),
  ]
}

/** Contract 5: an end of 0 means the start level alone, -1 all the way down; from 0, all the way with the group itself. */
function readLevels(start: number, end: number): Levels {
  if (end === -1) return { from: start, to: undefined }
  const to = end === 0 ? start : end
  if (start > to) throw new InvalidInput('start_level: must not be greater than end_level')
  return { from: start, to }
}
