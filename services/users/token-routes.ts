import { z } from 'zod'
import type { Attempts } from '../../platform/attempts.ts'
import { Unauthenticated } from '../../platform/errors.ts'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { readBearer } from '../../platform/http/input.ts'
import { uuid } from '../../platform/identifiers.ts'
import type { Tokens } from '../auth/service.ts'
import { TokenPairBody, presentTokens } from './present.ts'

/** Going on with a session, seeing one's sessions, ending one (contract 3). */
export function tokenEndpoints({ tokens, attempts }: { tokens: Tokens; attempts: Attempts }): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/users/tokens/refresh',
      summary: 'Trade a refresh token, sent as Bearer, for a new pair',
      access: 'anyone',
      status: 201,
      response: TokenPairBody,
      async handle({ ctx }) {
        const token = readBearer(ctx)
        if (token === undefined) throw new Unauthenticated()
        const { address } = ctx.state
        return presentTokens(
          await attempts.guard({ purpose: 'refresh', address }, () => tokens.refresh(token)),
        )
      },
    }),

    endpoint({
      method: 'post',
      path: '/users/tokens/revoke',
      summary: "End one of one's sessions, by the id that the list of refresh tokens shows",
      access: 'session',
      isOpenToUnverified: true,
      body: z.object({ token_id: uuid }),
      status: 204,
      handle: async ({ principal, body }) => tokens.revoke(principal, body.token_id),
    }),

    endpoint({
      method: 'get',
      path: '/users/tokens/refresh-tokens',
      summary: "List one's sessions",
      access: 'session',
      isOpenToUnverified: true,
      status: 200,
      response: z.object({
        refresh_tokens: z.array(z.object({ id: z.uuid(), description: z.string() })),
      }),
      handle: async ({ principal }) => ({ refresh_tokens: await tokens.list(principal) }),
    }),
  ]
}
