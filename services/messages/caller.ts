import { z } from 'zod'
import { Unauthenticated } from '../../platform/errors.ts'
import { readCredentials } from '../../platform/http/credentials.ts'
import { requireVerified } from '../../platform/http/endpoint.ts'
import type { RequestState } from '../../platform/http/endpoint.ts'
import type { Reader } from './access.ts'

/** What the readers' endpoints have in their paths; the domain may be missing. */
export const ChannelParams = z.object({ domain: z.string().optional(), channel: z.string() })

/** The paths of something below a channel: with the domain and without it. */
export const channelPaths = (below: string) => [
  `/:domain/channels/:channel/${below}`,
  `/channels/:channel/${below}`,
]

interface Call {
  get(header: string): string
  readonly state: RequestState
}

/**
 * Who calls, in any form that a reader may show (contract 1.3).
 *
 * @throws {Unauthenticated} nobody, or nobody that holds
 */
export function readReader(ctx: Call): Promise<Reader> {
  return read(ctx, () => ctx.state.principal(), ctx.state.address)
}

/**
 * The same asked anew, for answers that last longer than what was true at their beginning.
 *
 * @throws as {@link readReader}
 */
export function readReaderAgain(ctx: Call): Promise<Reader> {
  return read(ctx, () => ctx.state.principalNow())
}

async function read(ctx: Call, principal: RequestState['principal'], from?: string): Promise<Reader> {
  const presented = readCredentials(ctx.get('authorization'), undefined)
  if (!presented) throw new Unauthenticated()
  if (presented.kind === 'token') {
    const user = await principal()
    requireVerified(user)
    return { kind: 'user', principal: user }
  }
  const clientId = presented.kind === 'client' ? presented.clientId : undefined
  return { kind: 'client', secret: presented.secret, clientId, from }
}
