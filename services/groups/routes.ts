import { z } from 'zod'
import type { Listing } from '../../platform/db/listing.ts'
import { InvalidInput } from '../../platform/errors.ts'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { flag, metadata, optional, tags, text, uuid } from '../../platform/http/input.ts'
import { envelope, listingQuery, toListing } from '../../platform/http/listing.ts'
import type { Domains } from '../domains/service.ts'
import { MAX_DEPTH } from './errors.ts'
import type { Groups, Levels } from './service.ts'
import type { Group } from './types.ts'

const CreateGroup = z.object({
  name: text(1024).trim().min(1),
  description: optional(text(1024)),
  parent_id: optional(uuid),
  tags: optional(tags),
  metadata: optional(metadata),
  status: optional(z.enum(['enabled', 'disabled'])),
})

const InDomain = z.object({ domain: z.string() })
const OneGroup = InDomain.extend({ group: uuid })

const ListGroups = listingQuery(
  ['enabled', 'disabled', 'deleted'],
  ['name', 'created_at', 'updated_at'],
).extend({
  parent_id: uuid.optional(),
  parentID: uuid.optional(),
})

const ListChildren = listingQuery(
  ['enabled', 'disabled', 'deleted'],
  ['name', 'created_at', 'updated_at'],
).extend({
  tree: flag.default(false),
  start_level: z.coerce.number().int().min(0).max(MAX_DEPTH).default(1),
  end_level: z.coerce.number().int().min(-1).max(MAX_DEPTH).default(0),
})

// A tree is one answer: as many groups as a subtree may reasonably have, not a page of them.
const MAX_TREE = 10_000

export function groupEndpoints({ groups, domains }: { groups: Groups; domains: Domains }): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/:domain/groups',
      summary: 'Create a group, as a root or under a parent',
      access: 'user',
      params: InDomain,
      body: CreateGroup,
      status: 201,
      async handle({ ctx, principal, params, body }) {
        const group = await groups.create(principal, {
          domainId: await domains.resolveId(params.domain),
          name: body.name,
          description: body.description ?? '',
          parentId: body.parent_id,
          tags: body.tags ?? [],
          metadata: body.metadata ?? {},
          status: body.status ?? 'enabled',
        })
        ctx.set('Location', `/groups/${group.id}`)
        return present(group)
      },
    }),

    endpoint({
      method: 'get',
      path: '/:domain/groups',
      summary: 'List the groups that one may read',
      access: 'user',
      params: InDomain,
      query: ListGroups,
      status: 200,
      async handle({ principal, params, query }) {
        const domainId = await domains.resolveId(params.domain)
        const listing = { ...toListing(query), parentId: query.parent_id ?? query.parentID }
        return envelope('groups', await groups.list(principal, domainId, listing), listing, (g) => present(g))
      },
    }),

    endpoint({
      method: 'get',
      path: '/:domain/groups/:group',
      summary: 'Read a group',
      access: 'user',
      params: OneGroup,
      status: 200,
      async handle({ principal, params }) {
        const domainId = await domains.resolveId(params.domain)
        return present(await groups.get(principal, domainId, params.group))
      },
    }),

    endpoint({
      method: 'get',
      path: '/:domain/groups/:group/children',
      summary: 'List groups below a group, level by level or as one tree',
      access: 'user',
      params: OneGroup,
      query: ListChildren,
      status: 200,
      async handle({ principal, params, query }) {
        const domainId = await domains.resolveId(params.domain)
        const listing = toListing(query)
        const list = (levels: Levels, page: Listing) =>
          groups.listChildren(principal, domainId, params.group, levels, page)
        if (!query.tree) {
          const levels = readLevels(query.start_level, query.end_level)
          return envelope('groups', await list(levels, listing), listing, (group) => present(group))
        }
        const all = await list({ from: 0, to: undefined }, { ...listing, offset: 0, limit: MAX_TREE })
        const items = nest(all.items, params.group)
        return envelope('groups', { total: all.total, items }, listing, (group) => group)
      },
    }),
  ]
}

/** Contract 5: an end of 0 means the start level alone, -1 all the way down. */
function readLevels(start: number, end: number): Levels {
  if (end === -1) return { from: start, to: undefined }
  const to = end === 0 ? start : end
  if (start > to) throw new InvalidInput('start_level: must not be greater than end_level')
  return { from: start, to }
}

type Presented = ReturnType<typeof present> & { children?: Presented[] }

/** Nests groups under their parents; what has lost its parent to the filter is left out with it. */
function nest(groups: readonly Group[], rootId: string): Presented[] {
  const root = groups.find((group) => group.id === rootId)
  if (!root) return []
  const presented = new Map<string, Presented>(
    groups.map((group) => [
      group.id,
      { ...present(group, group.path.length - root.path.length), children: [] },
    ]),
  )
  for (const group of groups) {
    const child = presented.get(group.id)
    if (child && group.id !== rootId && group.parentId) presented.get(group.parentId)?.children?.push(child)
  }
  return [presented.get(rootId)].filter((group) => group !== undefined)
}

/** A group as answers show it (contract 5). */
export const PresentedGroup = z.object({
  id: z.guid(),
  domain_id: z.guid(),
  parent_id: z.guid().optional(),
  name: z.string(),
  description: z.string(),
  tags: z.array(z.string()),
  metadata: z.record(z.string(), z.unknown()),
  level: z.number(),
  path: z.string(),
  status: z.enum(['enabled', 'disabled', 'deleted']),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
  updated_by: z.guid().optional(),
})

/** @param level counted from a root, which is 1, unless said otherwise */
export function present(group: Group, level = group.path.length) {
  return {
    id: group.id,
    domain_id: group.domainId,
    parent_id: group.parentId ?? undefined,
    name: group.name,
    description: group.description,
    tags: group.tags,
    metadata: group.metadata,
    level,
    path: group.path.join('.'),
    status: group.status,
    created_at: group.createdAt,
    updated_at: group.updatedAt,
    updated_by: group.updatedBy ?? undefined,
  }
}
