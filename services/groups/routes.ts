import { z } from 'zod'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { flag, metadata, optional, tags, text } from '../../platform/http/input.ts'
import { uuid } from '../../platform/identifiers.ts'
import { listEndpoints } from '../entities/list-routes.ts'
import { entityEndpoints } from '../entities/routes.ts'
import type { DomainNames } from '../entities/routes.ts'
import { EntityQuery, InDomain } from '../entities/wire.ts'
import type { Groups } from './service.ts'
import type { Group } from './types.ts'
import { GroupBody, nest, presentGroup } from './wire.ts'

const CreateGroup = z.object({
  name: text(1024).trim().min(1),
  description: optional(text(1024)),
  parent_id: optional(uuid),
  tags: optional(tags),
  metadata: optional(metadata),
  status: optional(z.enum(['enabled', 'disabled'])),
})

const UpdateGroup = z.object({
  name: optional(text(1024).trim().min(1)),
  description: optional(text(1024)),
  metadata: optional(metadata),
})

const ListGroups = EntityQuery.extend({
  parent_id: uuid.optional(),
  parentID: uuid.optional(),
  ownerID: uuid.optional(),
  root_group: flag.default(false),
  tree: flag.default(false),
})

export function groupEndpoints(parts: { groups: Groups; domains: DomainNames }): Endpoint[] {
  const { groups, domains } = parts
  const present = (group: Group) => presentGroup(group)
  return [
    endpoint({
      method: 'post',
      path: '/:domain/groups',
      summary: 'Create a group, as a root or under a parent',
      access: 'user',
      params: InDomain,
      body: CreateGroup,
      status: 201,
      response: GroupBody,
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

    ...listEndpoints({
      type: 'group',
      domains,
      query: ListGroups,
      read: (query) => ({
        parentId: query.parent_id ?? query.parentID,
        createdBy: query.ownerID,
        isRoot: query.root_group,
        isTree: query.tree,
      }),
      list: (principal, listing) => groups.list(principal, listing),
      arrange: (page, listing) => (listing.isTree ? nest(page) : page.map(present)),
      response: GroupBody,
    }),

    ...entityEndpoints({
      type: 'group',
      entities: groups,
      domains,
      present,
      response: GroupBody,
      update: {
        methods: ['put', 'patch'],
        summary: 'Change name, description or metadata; absent fields stay',
        body: UpdateGroup,
      },
    }),
  ]
}
