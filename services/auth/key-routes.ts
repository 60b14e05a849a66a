import { z } from 'zod'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import type { Tokens } from './service.ts'

/** A public key, RFC 7517. */
const Jwks = z.object({
  keys: z.array(
    z.object({
      kty: z.string(),
      crv: z.string(),
      x: z.string(),
      kid: z.string(),
      alg: z.string(),
      use: z.string(),
    }),
  ),
})

/** The keys that access tokens are signed with (contract 9). */
export function keyEndpoints(tokens: Tokens): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: ['/.well-known/jwks.json', '/keys/.well-known/jwks.json'],
      summary: 'Public keys that access tokens are signed with',
      access: 'anyone',
      status: 200,
      response: Jwks,
      handle: () => Promise.resolve(tokens.jwks()),
    }),

    endpoint({
      method: 'post',
      path: '/keys/rotate',
      summary: 'Sign access tokens with a new key from now on; superadmins only',
      access: 'session',
      status: 200,
      response: Jwks,
      async handle({ principal }) {
        await tokens.rotateKey(principal)
        return tokens.jwks()
      },
    }),
  ]
}
