import { Router } from '@koa/router'
import { z } from 'zod'
import { InvalidInput } from '../../platform/errors.ts'
import {
  flag,
  metadata,
  optional,
  parse,
  readJson,
  readQuery,
  tags,
  text,
  uuid,
} from '../../platform/http/input.ts'
import { envelope, listingQuery, toListing } from '../../platform/http/listing.ts'
import type { RequestState } from '../auth/types.ts'
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

const GroupId = z.object({ group: uuid })

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

export function groupRoutes({ groups, domains }: { groups: Groups; domains: Domains }): Router<RequestState> {
  const router = new Router<RequestState>({ prefix: '/:domain/groups' })

  router.post('/', async (ctx) => {
    const principal = await ctx.state.principal()
    const domainId = await domains.resolveId(ctx.params.domain ?? '')
    const body = await readJson(ctx, CreateGroup)
    const group = await groups.create(principal, {
      domainId,
      name: body.name,
      description: body.description ?? '',
      parentId: body.parent_id,
      tags: body.tags ?? [],
      metadata: body.metadata ?? {},
      status: body.status ?? 'enabled',
    })
    ctx.status = 201
    ctx.set('Location', `/groups/${group.id}`)
    ctx.body = present(group)
  })

  router.get('/', async (ctx) => {
    const principal = await ctx.state.principal()
    const domainId = await domains.resolveId(ctx.params.domain ?? '')
    const query = readQuery(ctx, ListGroups)
    const listing = { ...toListing(query), parentId: query.parent_id ?? query.parentID }
    const page = await groups.list(principal, domainId, listing)
    ctx.body = envelope(
      'groups',
      { total: page.total, items: page.items.map((group) => present(group)) },
      listing,
    )
  })

  router.get('/:group', async (ctx) => {
    const principal = await ctx.state.principal()
    const domainId = await domains.resolveId(ctx.params.domain ?? '')
    const { group: id } = parse(GroupId, ctx.params)
    ctx.body = present(await groups.get(principal, domainId, id))
  })

  router.get('/:group/children', async (ctx) => {
    const principal = await ctx.state.principal()
    const domainId = await domains.resolveId(ctx.params.domain ?? '')
    const { group: id } = parse(GroupId, ctx.params)
    const query = readQuery(ctx, ListChildren)
    const listing = toListing(query)
    if (query.tree) {
      const all = { ...listing, offset: 0, limit: MAX_TREE }
      const page = await groups.listChildren(principal, domainId, id, { from: 0, to: undefined }, all)
      ctx.body = envelope('groups', { total: page.total, items: nest(page.items, id) }, listing)
      return
    }
    const levels = readLevels(query.start_level, query.end_level)
    const page = await groups.listChildren(principal, domainId, id, levels, listing)
    ctx.body = envelope(
      'groups',
      { total: page.total, items: page.items.map((group) => present(group)) },
      listing,
    )
  })

  return router
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

/** @param level counted from a root, which is 1, unless said otherwise */
function present(group: Group, level = group.path.length) {
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
