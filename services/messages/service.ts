import type { Db } from '../../platform/db/connect.ts'
import { Forbidden, NotFound, Unauthenticated } from '../../platform/errors.ts'
import type { Policy } from '../auth/service.ts'
import type { Principal } from '../auth/types.ts'
import type { Channels } from '../channels/service.ts'
import type { Clients } from '../clients/service.ts'
import type { Domains } from '../domains/service.ts'
import type { MessageFilter } from './query.ts'
import * as repository from './repository.ts'

export type Messages = ReturnType<typeof createMessages>

/** Who reads: a person with a token, or a device with its secret and, where it says so, its id. */
export type Reader =
  | { readonly kind: 'user'; readonly principal: Principal }
  | { readonly kind: 'client'; readonly secret: string; readonly clientId: string | undefined }

export interface MessagesParts {
  readonly db: Db
  readonly policy: Policy
  readonly domains: Domains
  readonly channels: Channels
  readonly clients: Clients
}

export function createMessages({ db, policy, domains, channels, clients }: MessagesParts) {
  async function authorizeUser(
    principal: Principal,
    domain: string | undefined,
    channel: string,
  ): Promise<string> {
    const address = await channels.findAddress({ domain, channel })
    if (!address) {
      if (principal.isSuperadmin) throw new NotFound()
      // Members of the domain may know; everybody else gets what they get for a channel that is there.
      if (domain === undefined) throw new Forbidden()
      await policy.requireEntry(principal, await domains.resolveId(domain))
      throw new NotFound()
    }
    await policy.require(principal, 'channel.subscribe', address.channelId, address.domainId)
    return address.channelId
  }

  async function authorizeClient(
    reader: Extract<Reader, { kind: 'client' }>,
    domain: string | undefined,
    channel: string,
  ): Promise<string> {
    const address = await channels.findAddress({ domain, channel })
    // Without a channel there is no domain to look the secret up in, unless the client says who it is.
    const { secret, clientId } = reader
    const scope = clientId !== undefined ? { clientId } : address && { domainId: address.domainId }
    const client = scope && (await clients.authenticate({ ...scope, secret }))
    if (!client) throw new Unauthenticated()
    if (!address || address.domainId !== client.domainId) throw new NotFound()
    if (!(await channels.clientMay(client.id, address.channelId, 'subscribe'))) throw new Forbidden()
    return address.channelId
  }

  return {
    /**
     * Stored messages of a channel.
     *
     * @param domain id or route; `undefined` where the path names the channel alone
     * @throws {Unauthenticated} a secret that no client has there
     * @throws {Forbidden} no permission or connection to subscribe
     * @throws {NotFound} no such channel, told to those who may know
     */
    async list(reader: Reader, domain: string | undefined, channel: string, filter: MessageFilter) {
      const channelId =
        reader.kind === 'user'
          ? await authorizeUser(reader.principal, domain, channel)
          : await authorizeClient(reader, domain, channel)
      if (filter.format !== 'messages') {
        return { kind: 'json' as const, page: await repository.listJsonMessages(db, channelId, filter) }
      }
      if (filter.aggregation !== undefined) {
        return { kind: 'buckets' as const, page: await repository.listBuckets(db, channelId, filter) }
      }
      return { kind: 'readings' as const, page: await repository.listReadings(db, channelId, filter) }
    },
  }
}
