import type { Router, RouterContext } from '@koa/router'
import { z } from 'zod'
import { Forbidden, MethodNotAllowed, Unauthenticated } from '../errors.ts'
import type { Principal } from '../principal.ts'
import { parse, readJson, readQuery } from './input.ts'
import { requireStorable } from './storable.ts'

/** What the HTTP edge puts at the disposal of each request. */
export interface RequestState {
  readonly maxBodyBytes: number
  /** Where the request comes from, proxies that are trusted left out. */
  readonly address: string
  /**
   * Who calls, with an access token or a personal one.
   *
   * @throws {Unauthenticated} no token, or one that does not hold
   */
  principal(): Promise<Principal>
  /** The same asked anew: for answers that last, whose caller may have lost what the first question found. */
  principalNow(): Promise<Principal>
  /** Whoever is at the other end of the connection has shown who he is. */
  letIn(): void
}

/** An answer with a status, a content type or headers that are not the endpoint's usual ones. */
export class Reply {
  readonly status: number
  readonly body: unknown
  readonly type: string | undefined
  readonly headers: Readonly<Record<string, string>>
  /**
   * @param body `undefined` for an empty one; a stream goes out as the caller takes it, is destroyed when the caller goes
   *   away, and cuts the answer off when it fails
   */
  constructor(status: number, body?: unknown, type?: string, headers: Readonly<Record<string, string>> = {}) {
    this.status = status
    this.body = body
    this.type = type
    this.headers = headers
  }
}

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete'
const Nothing = z.object({})
type Nothing = typeof Nothing

/** A checked request: what the schemas returned is all there is. */
export interface Request<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> {
  readonly params: z.output<P>
  readonly query: z.output<Q>
  readonly body: z.output<B>
  readonly ctx: RouterContext<RequestState>
}

interface Description<P extends z.ZodType, Q extends z.ZodObject, B extends z.ZodType> {
  readonly method: Method
  /** With `:name` for parameters; several for one meaning. */
  readonly path: string | readonly string[]
  /** One line for the API's documentation. */
  readonly summary: string
  readonly params?: P
  readonly query?: Q
  readonly body?: B
  readonly status: 200 | 201 | 202 | 204
  /** What the answer's body looks like, for the documentation and the tests; absent when it is empty. */
  readonly response?: z.ZodType
}

interface UserEndpoint<P extends z.ZodType, Q extends z.ZodObject, B extends z.ZodType> extends Description<
  P,
  Q,
  B
> {
  /** Whoever shows an access token or a personal access token; `session`: the latter are refused (contract 1.3). */
  readonly access: 'user' | 'session'
  /** Also for those whose e-mail address is not verified where that is demanded (contract 1.3). */
  readonly isOpenToUnverified?: true
  /** @returns the answer's body, `undefined` for an empty one; or a {@link Reply} */
  readonly handle: (request: Request<P, Q, B> & { readonly principal: Principal }) => Promise<unknown>
}

interface DeviceEndpoint<P extends z.ZodType, Q extends z.ZodObject, B extends z.ZodType> extends Description<
  P,
  Q,
  B
> {
  /** Whoever shows a client's secret or a token. */
  readonly access: 'device'
  /**
   * Asks for them, before anything else is read. What a secret opens the handler finds out, since that depends on where.
   *
   * @throws {Unauthenticated} there are none, or a token that does not hold
   */
  readonly identify: (ctx: RouterContext<RequestState>) => Promise<unknown>
  /** @returns the answer's body, `undefined` for an empty one; or a {@link Reply} */
  readonly handle: (request: Request<P, Q, B>) => Promise<unknown>
}

interface OpenEndpoint<P extends z.ZodType, Q extends z.ZodObject, B extends z.ZodType> extends Description<
  P,
  Q,
  B
> {
  readonly access: 'anyone'
  /** @returns the answer's body, `undefined` for an empty one; or a {@link Reply} */
  readonly handle: (request: Request<P, Q, B>) => Promise<unknown>
}

/**
 * One route: where it is, what goes in, what comes out, and what it does. The same declaration checks requests, serves them
 * and writes the API's documentation.
 */
export type Endpoint =
  | UserEndpoint<z.ZodType, z.ZodObject, z.ZodType>
  | DeviceEndpoint<z.ZodType, z.ZodObject, z.ZodType>
  | OpenEndpoint<z.ZodType, z.ZodObject, z.ZodType>

/** Declares an endpoint; the types of its input follow from the schemas. */
export function endpoint<
  P extends z.ZodType = Nothing,
  Q extends z.ZodObject = Nothing,
  B extends z.ZodType = Nothing,
>(description: UserEndpoint<P, Q, B> | DeviceEndpoint<P, Q, B> | OpenEndpoint<P, Q, B>): Endpoint {
  // The list of all endpoints forgets what each takes; `serve` calls a handler with what its own schemas returned.
  return description
}

export const pathsOf = ({ path }: Pick<Endpoint, 'path'>): readonly string[] =>
  typeof path === 'string' ? [path] : path

/**
 * Mounts endpoints so that a literal segment wins over a parameter, whatever the order they come in, also where the verb is
 * none of its own: `DELETE /users/profile` is no user by that name.
 */
export function mount(router: Router<RequestState>, endpoints: readonly Endpoint[]): void {
  const routes = endpoints.flatMap((one) => pathsOf(one).map((path) => ({ path, one })))
  routes.sort((a, b) => specificity(a.path).localeCompare(specificity(b.path)))
  const [literal, withParameters] = [routes.filter(isLiteral), routes.filter((route) => !isLiteral(route))]
  for (const { path, one } of literal) router[one.method](path, (ctx) => serve(one, ctx))
  for (const path of new Set(literal.map((route) => route.path))) {
    const methods = literal.filter((route) => route.path === path).map(({ one }) => one.method)
    // The router answers HEAD wherever it answers GET.
    const allowed = [...methods, ...(methods.includes('get') ? ['head'] : [])].map((verb) =>
      verb.toUpperCase(),
    )
    router.all(path, () => Promise.reject(new MethodNotAllowed(allowed)))
  }
  for (const { path, one } of withParameters) router[one.method](path, (ctx) => serve(one, ctx))
}

const isLiteral = ({ path }: { readonly path: string }) => !/[:*]/.test(path)

/** Sorts literal segments first, then parameters, then the rest of a path. */
function specificity(path: string): string {
  return path
    .split('/')
    .map((segment) => (segment.includes('*') ? '2' : segment.startsWith(':') ? '1' : '0'))
    .join('')
}

type ForUsers = Extract<Endpoint, { readonly access: 'user' | 'session' }>
const isForUsers = (one: Endpoint): one is ForUsers => one.access === 'user' || one.access === 'session'

async function readPrincipal(one: ForUsers, ctx: RouterContext<RequestState>): Promise<Principal> {
  const principal = await ctx.state.principal()
  if (one.access === 'session' && principal.scopes !== undefined) {
    throw new Unauthenticated('missing or invalid bearer user token')
  }
  if (!one.isOpenToUnverified) requireVerified(principal)
  return principal
}

/** @throws {Forbidden} the e-mail address is to be verified first */
export function requireVerified(principal: Principal): void {
  if (principal.mustVerify) throw new Forbidden('verify your e-mail address first')
}

/** What a stranger may make us read and parse, in bytes: room for every form that strangers fill in. */
const STRANGER_LIMIT_BYTES = 65_536

const bodyLimitOf = ({ access }: Endpoint, { maxBodyBytes }: RequestState) =>
  access === 'anyone' ? Math.min(STRANGER_LIMIT_BYTES, maxBodyBytes) : maxBodyBytes

async function serve(one: Endpoint, ctx: RouterContext<RequestState>): Promise<void> {
  // Who calls comes first: a stranger learns nothing from what is wrong with the rest.
  const principal = isForUsers(one) ? await readPrincipal(one, ctx) : undefined
  if (one.access === 'device') await one.identify(ctx)
  requireStorable(ctx.params)
  const params = parse(one.params ?? Nothing, ctx.params)
  const query = readQuery(ctx, one.query ?? Nothing)
  const body = one.body ? await readJson(ctx, one.body, bodyLimitOf(one, ctx.state)) : {}
  const request = { ctx, params, query, body }
  const answer = isForUsers(one)
    ? await one.handle({ ...request, principal: principal as Principal })
    : await one.handle(request)
  if (one.access !== 'anyone') ctx.state.letIn()
  const reply = answer instanceof Reply ? answer : new Reply(one.status, answer)
  const { status, body: content, type, headers } = reply
  ctx.body = content ?? null
  // After the body: Koa makes an empty one a 204 of its own accord, and JSON of an object.
  ctx.status = status
  if (type !== undefined) ctx.type = type
  ctx.set(headers)
}
