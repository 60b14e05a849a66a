import { z } from 'zod'
import type { Bus } from '../platform/bus/connect.ts'
import { createCaller, serve } from '../platform/bus/rpc.ts'
import type { AuthorityBackend } from './authority.ts'

const NAME = 'authority'

const ChannelReference = z.object({ domain: z.string().optional(), channel: z.string() })

const CredentialsInput = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('client'), clientId: z.string(), secret: z.string() }),
  z.object({ kind: z.literal('certificate'), clientId: z.string() }),
  z.object({ kind: z.literal('secret'), domainId: z.string(), secret: z.string() }),
  z.object({ kind: z.literal('token'), token: z.string() }),
])

const Request = z.object({
  principal: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('client'), id: z.string(), domainId: z.string() }),
    z.object({ kind: z.literal('user'), id: z.string(), patId: z.string().optional() }),
  ]),
  channelId: z.string(),
  action: z.enum(['publish', 'subscribe']),
})

// The questions in the form in which they cross the bus. Secrets cross it as they are, because the backend keeps only keyed
// hashes to compare with: the bus is inside the trust boundary, and takes TLS and credentials where that needs enforcing.
function handlersOf(backend: AuthorityBackend) {
  return {
    findChannel: async (input: z.input<typeof ChannelReference>) =>
      backend.findChannel(ChannelReference.parse(input)),
    authenticate: async (input: z.input<typeof CredentialsInput>) =>
      backend.authenticate(CredentialsInput.parse(input)),
    authorize: async (input: z.input<typeof Request>) => backend.authorize(Request.parse(input)),
  }
}

/** Answers the questions of adapters in other processes. Any number of processes may. */
export function serveBackend(bus: Bus, backend: AuthorityBackend): ReturnType<typeof serve> {
  return serve(bus, NAME, handlersOf(backend))
}

/**
 * The backend, for a process without a database. Methods throw `Unavailable` when nobody answers within the timeout.
 */
export function createRemoteBackend(bus: Bus, options: { timeoutMs?: number } = {}): AuthorityBackend {
  return createCaller<ReturnType<typeof handlersOf>>(
    bus,
    NAME,
    ['findChannel', 'authenticate', 'authorize'],
    options,
  )
}
