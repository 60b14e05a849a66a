import { z } from 'zod'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { optional, text } from '../../platform/http/input.ts'
import { uuid } from '../../platform/identifiers.ts'
import { envelope, pageOf, pageQuery } from '../../platform/http/listing.ts'
import { PresentedRole, presentRole } from './present.ts'
import { roleMemberEndpoints } from './role-member-routes.ts'
import { rolePaths } from './role-paths.ts'
import type { RolePaths } from './role-paths.ts'
import type { Roles } from './service.ts'

const MAX_MEMBERS = 1_000
const MAX_ACTIONS = 200

const name = text(200).trim().min(1)
const words = z.array(z.string())
const actions = z.array(z.string().max(100)).max(MAX_ACTIONS)
const unique = (values: readonly string[] | undefined) => [...new Set(values)]

const CreateRole = z.object({
  role_name: name,
  optional_actions: optional(actions),
  optional_members: optional(z.array(uuid).max(MAX_MEMBERS)),
})
const RenameRole = z.object({ name })
const Actions = z.object({ actions: actions.min(1, 'empty list provided') })

const ListRoles = z.object({
  ...pageQuery(),
  name: z.string().max(200).optional(),
  order: z.enum(['name', 'created_at', 'updated_at']).default('updated_at'),
  dir: z.enum(['asc', 'desc']).default('desc'),
})

interface RoleRoutes {
  readonly roles: Roles
  /** The id of the domain that a path names by id or route. @throws {Forbidden} */
  readonly resolveDomain: (reference: string) => Promise<string>
}

/** The routes of roles under all four prefixes (contract 8). */
export function roleEndpoints({ roles, resolveDomain }: RoleRoutes): Endpoint[] {
  return (['domain', 'group', 'client', 'channel'] as const).flatMap((type) => {
    const paths = rolePaths(type, resolveDomain)
    return [
      availableActions(roles, paths, resolveDomain),
      ...endpointsOfRoles(roles, paths),
      ...endpointsOfActions(roles, paths),
      ...roleMemberEndpoints(roles, paths),
    ]
  })
}

function availableActions(
  roles: Roles,
  { type, ofType }: RolePaths,
  resolveDomain: RoleRoutes['resolveDomain'],
): Endpoint {
  return endpoint({
    method: 'get',
    path: `${ofType}/available-actions`,
    summary: `List the actions that a role on a ${type} can hold`,
    access: 'user',
    params: z.object({ domain: z.string().optional() }),
    status: 200,
    response: z.object({ available_actions: words }),
    async handle({ principal, params }) {
      const domainId = params.domain === undefined ? undefined : await resolveDomain(params.domain)
      return { available_actions: await roles.listAvailableActions(principal, type, domainId) }
    },
  })
}

function endpointsOfRoles(roles: Roles, { type, onEntity, onRole, entityOf }: RolePaths): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      ...onEntity,
      access: 'user',
      summary: `Make a role on a ${type}`,
      body: CreateRole,
      status: 201,
      response: PresentedRole.extend({ optional_actions: words, optional_members: words }),
      async handle({ principal, params, body }) {
        const input = {
          name: body.role_name,
          actions: unique(body.optional_actions),
          memberIds: unique(body.optional_members),
        }
        const role = await roles.create(principal, await entityOf(params), input)
        return { ...presentRole(role), optional_actions: input.actions, optional_members: input.memberIds }
      },
    }),

    endpoint({
      method: 'get',
      ...onEntity,
      access: 'user',
      summary: `List the roles on a ${type}`,
      query: ListRoles,
      status: 200,
      response: pageOf('roles', PresentedRole),
      async handle({ principal, params, query }) {
        const listing = { ...query, name: query.name }
        const page = await roles.list(principal, await entityOf(params), listing)
        return envelope('roles', page, listing, presentRole)
      },
    }),

    endpoint({
      method: 'get',
      ...onRole(),
      access: 'user',
      summary: `Read a role on a ${type}`,
      status: 200,
      response: PresentedRole,
      handle: async ({ principal, params }) =>
        presentRole(await roles.get(principal, await entityOf(params), params.role)),
    }),

    endpoint({
      method: 'put',
      ...onRole(),
      access: 'user',
      summary: `Rename a role on a ${type}`,
      body: RenameRole,
      status: 200,
      response: PresentedRole,
      handle: async ({ principal, params, body }) =>
        presentRole(await roles.rename(principal, await entityOf(params), params.role, body.name)),
    }),

    endpoint({
      method: 'delete',
      ...onRole(),
      access: 'user',
      summary: `Delete a role on a ${type}`,
      status: 204,
      handle: async ({ principal, params }) => roles.remove(principal, await entityOf(params), params.role),
    }),
  ]
}

function endpointsOfActions(roles: Roles, { type, onRole, entityOf }: RolePaths): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      ...onRole('/actions'),
      access: 'user',
      summary: `Give a role on a ${type} actions`,
      body: Actions,
      status: 200,
      response: z.object({ actions: words }),
      async handle({ principal, params, body }) {
        const given = unique(body.actions)
        await roles.addActions(principal, await entityOf(params), params.role, given)
        return { actions: given }
      },
    }),

    endpoint({
      method: 'get',
      ...onRole('/actions'),
      access: 'user',
      summary: `List the actions of a role on a ${type}`,
      status: 200,
      response: z.object({ actions: words }),
      handle: async ({ principal, params }) => ({
        actions: await roles.listActions(principal, await entityOf(params), params.role),
      }),
    }),

    endpoint({
      method: 'post',
      ...onRole('/actions/delete'),
      access: 'user',
      summary: `Take actions from a role on a ${type}`,
      body: Actions,
      status: 204,
      handle: async ({ principal, params, body }) =>
        roles.removeActions(principal, await entityOf(params), params.role, unique(body.actions)),
    }),

    endpoint({
      method: 'post',
      ...onRole('/actions/delete-all'),
      access: 'user',
      summary: `Take all actions from a role on a ${type}`,
      status: 204,
      handle: async ({ principal, params }) =>
        roles.removeAllActions(principal, await entityOf(params), params.role),
    }),
  ]
}
