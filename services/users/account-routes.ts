import { z } from 'zod'
import { deletionReply } from '../../platform/http/deletion.ts'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { metadata, optional, tags } from '../../platform/http/input.ts'
import { username } from '../../platform/identifiers.ts'
import type { Accounts } from './accounts.ts'
import { UserId, email, name, password, picture, triedPassword } from './fields.ts'
import { UserBody, presentWhole } from './present.ts'

const UpdateUser = z.object({
  first_name: optional(name),
  last_name: optional(name),
  metadata: optional(metadata),
  private_metadata: optional(metadata),
})

/** A username where the contract shows it, or where a whole user has it. */
const UpdateUsername = z
  .object({
    username: optional(username),
    credentials: optional(z.object({ username: optional(username) })),
  })
  .transform((body, ctx) => {
    const wanted = body.username ?? body.credentials?.username
    if (wanted !== undefined) return { username: wanted }
    ctx.addIssue({ code: 'custom', path: ['username'], message: 'missing' })
    return z.NEVER
  })

/** One source shows a change of the username at this address (contract D11). */
const UpdateEmail = z
  .object({ email: optional(email), username: optional(username) })
  .transform((body, ctx) => {
    if (body.email !== undefined) return { email: body.email }
    if (body.username !== undefined) return { username: body.username }
    ctx.addIssue({ code: 'custom', path: ['email'], message: 'missing' })
    return z.NEVER
  })

/** Changing accounts: by oneself, or by a superadmin (contract 3). */
export function accountEndpoints(accounts: Accounts): Endpoint[] {
  const changed = { params: UserId, status: 200, response: UserBody } as const

  return [
    endpoint({
      ...changed,
      access: 'user',
      method: 'patch',
      path: '/users/:user',
      summary: 'Change names and metadata of a user; what is absent stays',
      body: UpdateUser,
      handle: async ({ principal, params, body }) =>
        presentWhole(
          await accounts.update(principal, params.user, {
            ...(body.first_name === undefined ? {} : { firstName: body.first_name }),
            ...(body.last_name === undefined ? {} : { lastName: body.last_name }),
            ...(body.metadata === undefined ? {} : { metadata: body.metadata }),
            ...(body.private_metadata === undefined ? {} : { privateMetadata: body.private_metadata }),
          }),
        ),
    }),

    endpoint({
      ...changed,
      access: 'user',
      method: 'patch',
      path: '/users/:user/tags',
      summary: 'Replace the tags of a user',
      body: z.object({ tags: optional(tags) }),
      handle: async ({ principal, params, body }) =>
        presentWhole(await accounts.updateTags(principal, params.user, body.tags)),
    }),

    endpoint({
      ...changed,
      access: 'user',
      method: 'patch',
      path: '/users/:user/picture',
      summary: 'Change the profile picture of a user; an empty address takes it away',
      body: z.object({ profile_picture: picture.optional() }),
      handle: async ({ principal, params, body }) =>
        presentWhole(await accounts.updatePicture(principal, params.user, body.profile_picture)),
    }),

    endpoint({
      ...changed,
      access: 'user',
      method: 'patch',
      path: '/users/:user/email',
      summary: 'Change the e-mail address of a user',
      isOpenToUnverified: true,
      body: UpdateEmail,
      handle: async ({ principal, params, body }) =>
        presentWhole(
          body.email !== undefined
            ? await accounts.updateEmail(principal, params.user, body.email)
            : await accounts.updateUsername(principal, params.user, body.username),
        ),
    }),

    endpoint({
      ...changed,
      access: 'user',
      method: 'patch',
      path: '/users/:user/username',
      summary: 'Change the username of a user',
      body: UpdateUsername,
      handle: async ({ principal, params, body }) =>
        presentWhole(await accounts.updateUsername(principal, params.user, body.username)),
    }),

    endpoint({
      ...changed,
      access: 'user',
      method: 'patch',
      path: '/users/:user/role',
      summary: 'Make a user a superadmin, or an ordinary user again; superadmins only',
      body: z.object({ role: z.enum(['user', 'admin']) }),
      handle: async ({ principal, params, body }) =>
        presentWhole(await accounts.updateRole(principal, params.user, body.role)),
    }),

    endpoint({
      method: 'patch',
      path: '/users/secret',
      summary: "Change one's password; all other sessions end",
      access: 'session',
      body: z.object({ old_secret: triedPassword, new_secret: password }),
      status: 200,
      response: UserBody,
      handle: async ({ ctx, principal, body }) =>
        presentWhole(
          await accounts.updateSecret(
            principal,
            { oldPassword: body.old_secret, newPassword: body.new_secret },
            ctx.state.address,
          ),
        ),
    }),

    endpoint({
      ...changed,
      access: 'user',
      method: 'post',
      path: '/users/:user/enable',
      summary: 'Let a user in again; superadmins also bring back who was deleted',
      handle: async ({ principal, params }) => presentWhole(await accounts.enable(principal, params.user)),
    }),

    endpoint({
      ...changed,
      access: 'user',
      method: 'post',
      path: '/users/:user/disable',
      summary: 'Lock a user out, at once and everywhere',
      handle: async ({ principal, params }) => presentWhole(await accounts.disable(principal, params.user)),
    }),

    endpoint({
      method: 'delete',
      path: '/users/:user',
      summary: 'Delete a user; username and e-mail address are free at once',
      access: 'user',
      params: UserId,
      status: 200,
      response: z.object({ message: z.string() }),
      async handle({ ctx, principal, params }) {
        await accounts.remove(principal, params.user)
        return deletionReply(ctx, 'User deleted successfully')
      },
    }),
  ]
}
