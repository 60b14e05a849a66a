import type { Context, Next } from 'koa'
import { DomainError, MethodNotAllowed, NotFound } from '../../platform/errors.ts'
import { errorBody, httpStatus } from '../../platform/http/status.ts'
import { createLogLimit } from '../../platform/log-limit.ts'
import type { Logger } from '../../platform/log.ts'

/** Turns what handlers throw into the contract's answer; what nobody expected is logged whole and told to nobody. */
export function answerErrors(log: Logger) {
  const limit = createLogLimit()
  return async (ctx: Context, next: Next): Promise<void> => {
    try {
      await next()
    } catch (error) {
      ctx.status = httpStatus(error)
      ctx.body = errorBody(error)
      const request = { method: ctx.method, path: ctx.path, status: ctx.status }
      if (!(error instanceof DomainError)) {
        const leftOut = limit.admit('internal')
        if (leftOut !== undefined) log.error({ ...request, err: error, leftOut }, 'request failed')
        return
      }
      if (error instanceof MethodNotAllowed) ctx.set('Allow', error.allowed.join(', '))
      if (error.retryAfterS !== undefined) ctx.set('Retry-After', String(error.retryAfterS))
      // An unread body would be taken for the next request; the connection ends with the answer instead.
      if (error.kind === 'too_large') ctx.set('Connection', 'close')
      log.debug({ ...request, code: error.code }, 'request refused')
    }
  }
}

/** Gives what no route has answered the contract's form. */
export async function answerUnrouted(ctx: Context, next: Next): Promise<void> {
  await next()
  if (ctx.body !== undefined && ctx.body !== null) return
  // The router says 405 where the path has other methods, and 501 for methods it has never heard of.
  if (ctx.status === 405 || ctx.status === 501) {
    throw new MethodNotAllowed(ctx.response.get('Allow').split(', '))
  }
  if (ctx.status === 404) throw new NotFound('no such route')
}
