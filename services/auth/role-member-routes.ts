import { z } from 'zod'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { uuid } from '../../platform/identifiers.ts'
import { commaList, envelope, pageOf, pageQuery } from '../../platform/http/listing.ts'
import { MEMBER_ORDERS } from './access-repository.ts'
import { PresentedAccess, presentAccess } from './present.ts'
import type { RolePaths } from './role-paths.ts'
import type { Roles } from './service.ts'
import type { EntityMember } from './types.ts'

const MAX_MEMBERS = 1_000

const userIds = z
  .array(uuid)
  .min(1, 'empty list provided')
  .max(MAX_MEMBERS)
  .transform((ids) => [...new Set(ids)])
const Members = z.object({ members: userIds })
const MemberIds = z.object({ member_ids: userIds })

const order = z.enum(MEMBER_ORDERS).optional()
const ListMembers = z.object(pageQuery())
const ListEntityMembers = z.object({
  ...pageQuery(),
  order,
  order_by: order,
  dir: z.enum(['asc', 'desc']).default('asc'),
  access_provider_id: uuid.optional(),
  access_type: PresentedAccess.shape.access_type.optional(),
  role_id: z.string().max(100).optional(),
  role_name: z.string().max(200).optional(),
  actions: commaList.optional(),
})

const PresentedMember = z.object({ member_id: z.guid(), roles: z.array(PresentedAccess) })

const presentMember = (member: EntityMember) => ({
  member_id: member.memberId,
  roles: member.roles.map(presentAccess),
})

/** Members of roles, and of an entity through whatever role (contract 8). */
export function roleMemberEndpoints(roles: Roles, paths: RolePaths): Endpoint[] {
  const { type, onEntity, onMembers, onRole, entityOf } = paths
  return [
    endpoint({
      method: 'get',
      ...onMembers,
      access: 'user',
      summary: `List who has access to a ${type}, and through which roles`,
      query: ListEntityMembers,
      status: 200,
      response: pageOf('members', PresentedMember),
      async handle({ principal, params, query }) {
        const listing = {
          offset: query.offset,
          limit: query.limit,
          order: query.order ?? query.order_by ?? 'member_id',
          dir: query.dir,
          providerId: query.access_provider_id,
          accessType: query.access_type,
          roleId: query.role_id,
          roleName: query.role_name,
          actions: query.actions,
        }
        const page = await roles.listEntityMembers(principal, await entityOf(params), listing)
        return envelope('members', page, listing, presentMember)
      },
    }),

    endpoint({
      method: 'delete',
      ...onEntity,
      access: 'user',
      summary: `Take users out of every role on a ${type}`,
      body: MemberIds,
      status: 204,
      handle: async ({ principal, params, body }) =>
        roles.removeFromAll(principal, await entityOf(params), body.member_ids),
    }),

    endpoint({
      method: 'post',
      ...onRole('/members'),
      access: 'user',
      summary: `Make users members of a role on a ${type}`,
      body: Members,
      status: 200,
      response: z.object({ members: z.array(z.guid()) }),
      async handle({ principal, params, body }) {
        await roles.addMembers(principal, await entityOf(params), params.role, body.members)
        return { members: body.members }
      },
    }),

    endpoint({
      method: 'get',
      ...onRole('/members'),
      access: 'user',
      summary: `List the members of a role on a ${type}`,
      query: ListMembers,
      status: 200,
      response: pageOf('members', z.guid()),
      async handle({ principal, params, query }) {
        const page = await roles.listMembers(principal, await entityOf(params), params.role, query)
        return envelope('members', page, query, (userId) => userId)
      },
    }),

    endpoint({
      method: 'post',
      ...onRole('/members/delete'),
      access: 'user',
      summary: `Take users out of a role on a ${type}`,
      body: Members,
      status: 204,
      handle: async ({ principal, params, body }) =>
        roles.removeMembers(principal, await entityOf(params), params.role, body.members),
    }),

    endpoint({
      method: 'post',
      ...onRole('/members/delete-all'),
      access: 'user',
      summary: `Take everybody out of a role on a ${type}`,
      status: 204,
      handle: async ({ principal, params }) =>
        roles.removeAllMembers(principal, await entityOf(params), params.role),
    }),
  ]
}
