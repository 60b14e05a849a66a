import type { AuthorityBackend } from '../adapters/authority.ts'
import { Unauthenticated } from '../platform/errors.ts'
import type { Services } from './services.ts'

/** Answers the adapters' questions out of the services. */
export function createAuthorityBackend({ auth, domains, clients, channels }: Services): AuthorityBackend {
  return {
    async findChannel(reference) {
      return (await channels.findAddress(reference)) ?? null
    },

    async authenticate(credentials) {
      switch (credentials.kind) {
        case 'client':
          return asClient(await clients.authenticate(credentials))
        case 'certificate':
          return asClient(await clients.identify(credentials.clientId))
        case 'secret': {
          const domainId = await domains.findId(credentials.domainId)
          return domainId === undefined
            ? null
            : asClient(await clients.authenticate({ domainId, secret: credentials.secret }))
        }
        case 'token':
          try {
            const { userId, patId, expiresAtMs, mustVerify } = await auth.authenticate(credentials.token)
            return mustVerify ? null : { kind: 'user', id: userId, patId, expiresAtMs }
          } catch (error) {
            if (error instanceof Unauthenticated) return null
            throw error
          }
      }
    },

    async authorize({ principal, channelId, action }) {
      if (principal.kind === 'client') return channels.clientMay(principal.id, channelId, action)
      const user = await auth.findPrincipal(principal.id, principal.patId)
      return user !== undefined && channels.userMay(user, channelId, action)
    },
  }
}

const asClient = (client: { id: string; domainId: string } | undefined) =>
  client ? ({ kind: 'client', id: client.id, domainId: client.domainId } as const) : null
