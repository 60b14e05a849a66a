import type { Socket } from 'node:net'
import { Router } from '@koa/router'
import Koa from 'koa'
import type { Context } from 'koa'
import type { Holder } from '../../adapters/quota.ts'
import { networkOf } from '../../platform/buckets.ts'
import { Unauthenticated } from '../../platform/errors.ts'
import type { AddressReader } from '../../platform/http/client-address.ts'
import { CORS_HEADERS, PREFLIGHT_HEADERS } from '../../platform/http/cors.ts'
import { mount } from '../../platform/http/endpoint.ts'
import type { Endpoint, RequestState } from '../../platform/http/endpoint.ts'
import { readBearer } from '../../platform/http/input.ts'
import type { Logger } from '../../platform/log.ts'
import type { Principal } from '../../platform/principal.ts'
import { answerErrors, answerUnrouted } from './errors.ts'

/**
 * For the connections over which people manage and devices read, which count for an address, and together like a domain: whoever
 * registers himself as many users has no more of them, and nobody's devices lose their place to them.
 */
const API = 'api'

export interface AppOptions {
  readonly endpoints: readonly Endpoint[]
  /** Who a token speaks for; absent in a process that has no accounts. */
  readonly authenticate: ((token: string) => Promise<Principal>) | undefined
  readonly addressOf: AddressReader
  /** Told of connections whose other end has shown who he is. @returns `false` when it may not be kept */
  readonly letIn: (socket: Socket, holder: Holder) => boolean
  readonly maxBodyBytes: number
  readonly log: Logger
}

/** Everything of HTTP that is not a device publishing: one router with all routes, the same on every port. */
export function createApp({ endpoints, authenticate, addressOf, letIn, maxBodyBytes, log }: AppOptions): Koa {
  const app = new Koa<RequestState>()
  const root = new Router<RequestState>()
  mount(root, endpoints)

  app.use(async (ctx, next) => {
    ctx.set(CORS_HEADERS)
    if (ctx.method === 'OPTIONS') {
      ctx.set(PREFLIGHT_HEADERS)
      ctx.status = 204
      return
    }
    await next()
  })
  app.use(answerErrors(log))
  app.use(async (ctx, next) => {
    // One SDK's flags put a second question mark into the address (contract D21).
    ctx.querystring = ctx.querystring.replaceAll('?', '&')
    let principal: Promise<Principal> | undefined
    const principalNow = () => readPrincipal(readBearer(ctx), authenticate)
    const state: RequestState = {
      maxBodyBytes,
      address: addressOf(ctx.req),
      principal: () => (principal ??= principalNow()),
      principalNow,
      letIn() {
        if (!letIn(ctx.req.socket, { clientId: networkOf(state.address), domainId: API })) {
          ctx.set('Connection', 'close')
        }
      },
    }
    Object.assign(ctx.state, state)
    await next()
  })
  app.use(answerUnrouted)
  app.use(root.routes())
  app.use(root.allowedMethods())
  // What still gets here has no client to answer any more.
  app.on('error', (error: unknown, ctx?: Context) => {
    const hasLeft = error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE'
    if (hasLeft) log.debug({ path: ctx?.path }, 'caller left before the end of the answer')
    else log.warn({ err: error, path: ctx?.path }, 'answer was cut off')
  })
  return app
}

async function readPrincipal(
  token: string | undefined,
  authenticate: AppOptions['authenticate'],
): Promise<Principal> {
  if (token === undefined || !authenticate) throw new Unauthenticated('missing or invalid bearer user token')
  return authenticate(token)
}
