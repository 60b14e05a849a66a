import { z } from 'zod'
import { InvalidInput, Unauthenticated } from '../../platform/errors.ts'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { optional, readBearer } from '../../platform/http/input.ts'
import { email, password } from './fields.ts'
import type { Recovery } from './recovery.ts'

/** What is done by mail (contract 3). */
export function recoveryEndpoints(recovery: Recovery): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/users/send-verification',
      summary: 'Have a mail sent that verifies one’s e-mail address',
      access: 'user',
      isOpenToUnverified: true,
      status: 200,
      handle: async ({ ctx, principal }) => recovery.sendVerification(principal, ctx.state.address),
    }),

    endpoint({
      method: 'get',
      path: '/verify-email',
      summary: 'Verify an e-mail address: the link of the mail',
      access: 'anyone',
      query: z.object({ token: z.string() }),
      status: 200,
      handle: async ({ ctx, query }) => recovery.verify(query.token, ctx.state.address),
    }),

    endpoint({
      method: 'post',
      path: '/password/reset-request',
      summary:
        'Have a mail sent that lets one set a new password; the same answer whether there is such an account or not',
      access: 'anyone',
      body: z.object({ email, host: optional(z.string()) }),
      status: 201,
      response: z.object({ msg: z.string() }),
      handle({ ctx, body }) {
        const origin = body.host ?? (ctx.get('referer') || undefined)
        recovery.requestReset(body.email, origin, ctx.state.address)
        return Promise.resolve({ msg: 'If there is such an account, a mail is on its way' })
      },
    }),

    endpoint({
      method: 'put',
      path: '/password/reset',
      summary: 'Set a new password with the token of the mail, as Bearer or in the body',
      access: 'anyone',
      body: z.object({ password, confirm_password: z.string(), token: optional(z.string()) }),
      status: 201,
      response: z.object({}),
      async handle({ ctx, body }) {
        if (body.password !== body.confirm_password) {
          throw new InvalidInput('confirm_password: is not the same as password')
        }
        const token = readBearer(ctx) ?? body.token
        if (token === undefined) throw new Unauthenticated('invalid recovery token')
        await recovery.reset(token, body.password, ctx.state.address)
        return {}
      },
    }),
  ]
}
