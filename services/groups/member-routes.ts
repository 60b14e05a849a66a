import { z } from 'zod'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { flag } from '../../platform/http/input.ts'
import { uuid } from '../../platform/identifiers.ts'
import { envelope, listingQuery, pageOf, toListing } from '../../platform/http/listing.ts'
import type { Domains } from '../domains/service.ts'
import type { Assignments } from './assignments.ts'
import type { GroupMembers } from './members.ts'
import { GroupBody, nest, presentGroup } from './wire.ts'
import type { GroupMember } from './types.ts'

const listing = listingQuery(['enabled', 'disabled', 'deleted'], ['name', 'created_at', 'updated_at'])
const ListMembers = listing.extend({ identity: z.string().max(254).optional() })
const ListMemberships = listing.extend({
  parentID: uuid.optional(),
  parent_id: uuid.optional(),
  tree: flag.default(false),
})

const Assign = z.object({
  subject: uuid,
  object: uuid,
  actions: z.array(z.string().max(100)).min(1, 'empty list provided').max(100),
})

const PresentedMember = z.object({
  id: z.guid(),
  name: z.string(),
  first_name: z.string(),
  last_name: z.string(),
  tags: z.array(z.string()),
  credentials: z.object({ identity: z.string(), username: z.string() }),
  metadata: z.record(z.string(), z.unknown()),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
  status: z.enum(['enabled', 'disabled', 'deleted']),
})

const presentMember = (member: GroupMember) => ({
  id: member.id,
  name: `${member.firstName} ${member.lastName}`,
  first_name: member.firstName,
  last_name: member.lastName,
  tags: member.tags,
  credentials: { identity: member.email ?? '', username: member.username },
  metadata: member.metadata,
  created_at: member.createdAt,
  updated_at: member.updatedAt,
  status: member.status,
})

interface MemberRoutes {
  readonly members: GroupMembers
  readonly assignments: Assignments
  readonly domains: Domains
}

/** People and groups in the forms of older servers (contract 3, 5, D13, D14). */
export function groupMemberEndpoints({ members, assignments, domains }: MemberRoutes): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/:domain/groups/:group/members',
      summary: 'List the users who have a role on a group',
      access: 'user',
      params: z.object({ domain: z.string(), group: uuid }),
      query: ListMembers,
      status: 200,
      response: pageOf('members', PresentedMember),
      async handle({ principal, params, query }) {
        const domainId = await domains.resolveId(params.domain)
        const filter = { ...toListing(query), identity: query.identity }
        const page = await members.list(principal, domainId, params.group, filter)
        return envelope('members', page, filter, presentMember)
      },
    }),

    endpoint({
      method: 'get',
      path: '/users/:user/memberships',
      summary: 'List the groups on which a user has a role',
      // No scope has a word for it.
      access: 'session',
      params: z.object({ user: uuid }),
      query: ListMemberships,
      status: 200,
      response: pageOf('memberships', GroupBody),
      async handle({ principal, params, query }) {
        const filter = { ...toListing(query), parentId: query.parentID ?? query.parent_id }
        const { total, items } = await members.listMemberships(principal, params.user, filter)
        const shown = query.tree ? nest(items) : items.map((group) => presentGroup(group))
        return envelope('memberships', { total, items: [...shown] }, filter, (group) => group)
      },
    }),

    endpoint({
      method: 'post',
      path: '/users/policies',
      summary: 'Assign a user to a group',
      access: 'user',
      body: Assign,
      status: 201,
      handle: async ({ principal, body }) =>
        assignments.assign(principal, { userId: body.subject, groupId: body.object, words: body.actions }),
    }),

    endpoint({
      method: 'delete',
      path: '/users/policies/:user/:group',
      summary: 'Take a user out of a group',
      access: 'user',
      params: z.object({ user: uuid, group: uuid }),
      status: 204,
      handle: async ({ principal, params }) => assignments.remove(principal, params.user, params.group),
    }),
  ]
}
