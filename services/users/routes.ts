import { z } from 'zod'
import { Unauthenticated } from '../../platform/errors.ts'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { flag, metadata, optional, tags, text } from '../../platform/http/input.ts'
import { username } from '../../platform/identifiers.ts'
import { envelope, listingQuery, pageOf, pageQuery, toListing } from '../../platform/http/listing.ts'
import { UserId, email, name, password, picture, triedPassword } from './fields.ts'
import {
  FoundUserBody,
  SeenUserBody,
  TokenPairBody,
  UserBody,
  present,
  presentFound,
  presentTokens,
  presentWhole,
} from './present.ts'
import type { Users } from './service.ts'

const CreateUser = z.object({
  first_name: name,
  last_name: name,
  email,
  credentials: z.object({ username, secret: password }),
  tags: optional(tags),
  metadata: optional(metadata),
  private_metadata: optional(metadata),
  profile_picture: optional(picture),
  status: optional(z.enum(['enabled', 'disabled'])),
  role: optional(z.enum(['user', 'admin'])),
})

const IssueToken = z
  .object({
    username: optional(text(1024)),
    password: optional(triedPassword),
    identity: optional(text(1024)),
    secret: optional(triedPassword),
    description: optional(text(1024)),
  })
  .transform((body, ctx) => {
    const identity = body.identity ?? body.username
    const secret = body.secret ?? body.password
    if (identity === undefined) ctx.addIssue({ code: 'custom', message: 'username: missing (or identity)' })
    if (secret === undefined) ctx.addIssue({ code: 'custom', message: 'password: missing (or secret)' })
    return identity === undefined || secret === undefined
      ? z.NEVER
      : { identity, password: secret, description: body.description ?? '' }
  })

const orders = ['created_at', 'updated_at', 'first_name', 'last_name', 'username', 'email'] as const
const part = z.string().max(1024).optional()

const ListUsers = listingQuery(['enabled', 'disabled', 'deleted'], orders).extend({
  username: part,
  first_name: part,
  last_name: part,
  email: part,
  identity: part,
  verified: flag.optional(),
})

const SearchUsers = z.object({
  ...pageQuery(),
  order: z.enum(orders).default('updated_at'),
  dir: z.enum(['asc', 'desc']).default('desc'),
  username: z.string().min(3).max(1024).optional(),
  id: z.string().min(3).max(36).optional(),
  first_name: part,
  last_name: part,
  email: part,
})

/** Accounts and people: signing up, signing in, looking up (contract 3). */
export function userEndpoints(users: Users): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/users',
      summary: 'Sign up',
      // A token only adds a superadmin's rights, and an unusable one counts as none (contract 1.2).
      access: 'anyone',
      body: CreateUser,
      status: 201,
      response: UserBody,
      async handle({ ctx, body }) {
        const principal = await ctx.state.principal().catch(ignoreUnauthenticated)
        const user = await users.create(principal, {
          username: body.credentials.username,
          password: body.credentials.secret,
          email: body.email,
          firstName: body.first_name,
          lastName: body.last_name,
          tags: body.tags ?? [],
          metadata: body.metadata ?? {},
          privateMetadata: body.private_metadata ?? {},
          profilePicture: body.profile_picture ?? '',
          role: body.role,
          status: body.status,
        })
        ctx.set('Location', `/users/${user.id}`)
        return presentWhole(user)
      },
    }),

    endpoint({
      method: 'post',
      path: '/users/tokens/issue',
      summary: 'Sign in with username or e-mail and password',
      access: 'anyone',
      body: IssueToken,
      status: 201,
      response: TokenPairBody,
      handle: async ({ ctx, body }) => presentTokens(await users.signIn(body, ctx.state.address)),
    }),

    endpoint({
      method: 'get',
      path: '/users/profile',
      summary: "Read one's own record",
      access: 'user',
      isOpenToUnverified: true,
      status: 200,
      response: UserBody,
      handle: async ({ principal }) => presentWhole(await users.profile(principal)),
    }),

    endpoint({
      method: 'get',
      path: '/users',
      summary: 'List users: all for superadmins, those who share a domain with the caller for others',
      access: 'user',
      query: ListUsers,
      status: 200,
      response: pageOf('users', SeenUserBody),
      async handle({ principal, query }) {
        const listing = {
          ...toListing(query),
          username: query.username,
          firstName: query.first_name,
          lastName: query.last_name,
          email: query.email,
          identity: query.identity,
          isVerified: query.verified,
        }
        return envelope('users', await users.list(principal, listing), listing, (user) =>
          present(principal, user),
        )
      },
    }),

    endpoint({
      method: 'get',
      path: '/users/search',
      summary: 'Find users by parts of their names, their id, or their whole e-mail address',
      access: 'user',
      query: SearchUsers,
      status: 200,
      response: pageOf('users', FoundUserBody),
      async handle({ principal, query }) {
        const { username, id, email, first_name: firstName, last_name: lastName } = query
        const search = { ...query, username, id, email, firstName, lastName }
        return envelope('users', await users.search(principal, search), search, (user) =>
          presentFound(principal, user),
        )
      },
    }),

    endpoint({
      method: 'get',
      path: '/users/:user',
      summary: 'Read a user: whole for oneself and superadmins, the public part for others',
      access: 'user',
      params: UserId,
      status: 200,
      response: SeenUserBody,
      handle: async ({ principal, params }) => present(principal, await users.get(principal, params.user)),
    }),
  ]
}

function ignoreUnauthenticated(error: unknown): undefined {
  if (!(error instanceof Unauthenticated)) throw error
}
