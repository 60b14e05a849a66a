import { z } from 'zod'
import { Unauthenticated } from '../../platform/errors.ts'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { metadata, optional, tags, text, uuid } from '../../platform/http/input.ts'
import type { Tokens } from '../auth/service.ts'
import type { Principal, TokenPair } from '../auth/types.ts'
import { seesAll } from './service.ts'
import type { Users } from './service.ts'
import type { User } from './types.ts'

const name = text(1024).trim().min(1)
const username = z
  .string()
  .regex(
    /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,31}$/,
    'must be 1 to 32 letters, digits, - or _, a letter or digit first',
  )
  .refine((value) => !/__|--/.test(value), 'must not hold __ or --')
const email = z
  .email()
  .max(254)
  .transform((value) => value.toLowerCase())
// argon2 reads the whole of it: bounded, so that nobody buys minutes of hashing with one request.
const password = z.string().min(8, 'must have at least 8 characters').max(1024)
const picture = z.union([z.literal(''), z.url({ protocol: /^https?$/ }).max(2048)])

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
    username: optional(z.string()),
    password: optional(z.string()),
    identity: optional(z.string()),
    secret: optional(z.string()),
    description: optional(text(1024)),
  })
  .transform((body, ctx) => {
    const identity = body.identity ?? body.username
    const secret = body.secret ?? body.password
    if (identity === undefined) ctx.addIssue({ code: 'custom', message: 'username: missing (or identity)' })
    if (secret === undefined) ctx.addIssue({ code: 'custom', message: 'password: missing (or secret)' })
    return identity === undefined || secret === undefined
      ? z.NEVER
      : { identity, secret: secret.slice(0, 1025), description: body.description ?? '' }
  })

const UserId = z.object({ user: uuid })

export function userEndpoints({ users, tokens }: { users: Users; tokens: Tokens }): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/users',
      summary: 'Sign up',
      // A token only adds a superadmin's rights, and an unusable one counts as none (contract 1.2).
      access: 'anyone',
      body: CreateUser,
      status: 201,
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
      handle: async ({ body: { identity, secret, description } }) =>
        presentTokens(await users.signIn(identity, secret, description)),
    }),

    endpoint({
      method: 'post',
      path: '/users/tokens/refresh',
      summary: 'Trade a refresh token, sent as Bearer, for a new pair',
      access: 'anyone',
      status: 201,
      async handle({ ctx }) {
        const [scheme, token] = ctx.get('authorization').split(' ')
        if (scheme?.toLowerCase() !== 'bearer' || !token) throw new Unauthenticated()
        return presentTokens(await tokens.refresh(token))
      },
    }),

    endpoint({
      method: 'get',
      path: '/users/profile',
      summary: "Read one's own record",
      access: 'user',
      status: 200,
      handle: async ({ principal }) => presentWhole(await users.profile(principal)),
    }),

    endpoint({
      method: 'get',
      path: '/users/:user',
      summary: 'Read a user: whole for oneself and superadmins, the public part for others',
      access: 'user',
      params: UserId,
      status: 200,
      handle: async ({ principal, params }) => present(principal, await users.get(principal, params.user)),
    }),
  ]
}

function ignoreUnauthenticated(error: unknown): undefined {
  if (!(error instanceof Unauthenticated)) throw error
}

function presentTokens(pair: TokenPair) {
  return { access_token: pair.accessToken, refresh_token: pair.refreshToken, access_type: 'Bearer' }
}

function present(principal: Principal, user: User) {
  return seesAll(principal, user) ? presentWhole(user) : presentToOthers(user)
}

function presentToOthers(user: User) {
  return {
    id: user.id,
    first_name: user.firstName,
    last_name: user.lastName,
    credentials: { username: user.username },
    profile_picture: user.profilePicture,
    tags: user.tags,
    metadata: user.metadata,
    status: user.status,
  }
}

function presentWhole(user: User) {
  return {
    ...presentToOthers(user),
    email: user.email,
    private_metadata: user.privateMetadata,
    role: user.role,
    created_at: user.createdAt,
    updated_at: user.updatedAt,
    updated_by: user.updatedBy ?? undefined,
    verified_at: user.verifiedAt ?? undefined,
    auth_provider: user.authProvider,
  }
}
