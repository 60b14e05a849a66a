import { Router } from '@koa/router'
import { z } from 'zod'
import { Unauthenticated } from '../../platform/errors.ts'
import { metadata, optional, parse, readJson, tags, text, uuid } from '../../platform/http/input.ts'
import type { Tokens } from '../auth/service.ts'
import type { Principal, RequestState, TokenPair } from '../auth/types.ts'
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

export function userRoutes({ users, tokens }: { users: Users; tokens: Tokens }): Router<RequestState> {
  const router = new Router<RequestState>({ prefix: '/users' })

  router.post('/', async (ctx) => {
    // Open to all; a token only adds a superadmin's rights, and an unusable one counts as none (contract 1.2).
    const principal = await ctx.state.principal().catch(ignoreUnauthenticated)
    const body = await readJson(ctx, CreateUser)
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
    ctx.status = 201
    ctx.set('Location', `/users/${user.id}`)
    ctx.body = presentWhole(user)
  })

  router.post('/tokens/issue', async (ctx) => {
    const { identity, secret, description } = await readJson(ctx, IssueToken)
    ctx.status = 201
    ctx.body = presentTokens(await users.signIn(identity, secret, description))
  })

  router.post('/tokens/refresh', async (ctx) => {
    const [scheme, token] = ctx.get('authorization').split(' ')
    if (scheme?.toLowerCase() !== 'bearer' || !token) throw new Unauthenticated()
    ctx.status = 201
    ctx.body = presentTokens(await tokens.refresh(token))
  })

  router.get('/profile', async (ctx) => {
    const principal = await ctx.state.principal()
    ctx.body = presentWhole(await users.profile(principal))
  })

  router.get('/:user', async (ctx) => {
    const principal = await ctx.state.principal()
    const { user: id } = parse(UserId, ctx.params)
    ctx.body = present(principal, await users.get(principal, id))
  })

  return router
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
