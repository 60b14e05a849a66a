import { Forbidden, NotFound, Unauthenticated } from '../../platform/errors.ts'
import type { SecretBrake } from '../../platform/secret-brake.ts'
import { OutsideDomain } from '../auth/errors.ts'
import type { Policy } from '../auth/service.ts'
import type { Principal } from '../auth/types.ts'
import type { Channels } from '../channels/service.ts'
import type { ConnectionType } from '../channels/types.ts'
import type { Clients } from '../clients/service.ts'
import type { Domains } from '../domains/service.ts'

/** Who reads: a person with a token, or a device with its secret and, where it says so, its id. */
export type Reader =
  | { readonly kind: 'user'; readonly principal: Principal }
  | {
      readonly kind: 'client'
      readonly secret: string
      readonly clientId: string | undefined
      /** Where the secret was shown; absent when it is asked about again. */
      readonly from: string | undefined
    }

/** A channel as a path names it: each part by id or route, the domain left out where the channel's id says enough. */
export interface ChannelReference {
  readonly domain?: string | undefined
  readonly channel: string
}

/** What a reader has been let in to. */
export interface Admission {
  readonly domainId: string
  readonly channelId: string
  /** Whom changes of permissions are to be matched with. */
  readonly principal: { readonly kind: 'user' | 'client'; readonly id: string }
  /** When the token ends that the reader came with, in milliseconds since the epoch. */
  readonly expiresAtMs?: number | undefined
}

export interface AccessParts {
  readonly policy: Policy
  readonly domains: Domains
  readonly channels: Channels
  readonly clients: Clients
  readonly secretBrake: SecretBrake
}

export type ChannelAccess = ReturnType<typeof createChannelAccess>

/** Decides who may read a channel's messages, stored or live, and who may put them back on their way. */
export function createChannelAccess({ policy, domains, channels, clients, secretBrake }: AccessParts) {
  async function admitUser(principal: Principal, reference: ChannelReference, type: ConnectionType) {
    const address = await channels.findAddress(reference)
    if (!address) {
      if (principal.isSuperadmin) throw new NotFound()
      // Members of the domain may know; everybody else gets what they get for a channel that is there.
      if (reference.domain === undefined) throw new OutsideDomain()
      await policy.requireEntry(principal, await domains.resolveId(reference.domain))
      throw new NotFound()
    }
    await policy.require(principal, `channel.${type}`, address.channelId, address.domainId)
    const { userId: id, expiresAtMs } = principal
    return { ...address, principal: { kind: 'user' as const, id }, expiresAtMs }
  }

  async function admitClient(
    reader: Extract<Reader, { kind: 'client' }>,
    reference: ChannelReference,
    type: ConnectionType,
  ) {
    const address = await channels.findAddress(reference)
    // Without a channel there is no domain to look the secret up in, unless the client says who it is.
    const { secret, clientId, from } = reader
    const scope = clientId !== undefined ? { clientId } : address && { domainId: address.domainId }
    const ask = async () => (scope && (await clients.authenticate({ ...scope, secret }))) ?? null
    // Also without a scope: who tries secrets is to learn nothing of which channels there are.
    const client = from === undefined ? await ask() : await secretBrake.ask({ ...scope, secret }, from, ask)
    if (!client) throw new Unauthenticated()
    if (!address || address.domainId !== client.domainId) throw new NotFound()
    if (!(await channels.clientMay(client.id, address.channelId, type))) throw new Forbidden()
    return { ...address, principal: { kind: 'client' as const, id: client.id } }
  }

  /**
   * Lets a reader in to what is stored of a channel.
   *
   * @throws {Unauthenticated} a secret that no client has there
   * @throws {RateLimited} too many such secrets
   * @throws {Forbidden} no permission or connection of the type
   * @throws {NotFound} no such channel, told to those who may know
   */
  async function admit(
    reader: Reader,
    reference: ChannelReference,
    type: ConnectionType = 'subscribe',
  ): Promise<Admission> {
    return reader.kind === 'user'
      ? admitUser(reader.principal, reference, type)
      : admitClient(reader, reference, type)
  }

  return {
    admit,

    /**
     * Lets a reader in to messages on their way: then channel and domain must be enabled, too (contract D33).
     *
     * @throws as {@link admit}
     */
    async admitLive(
      reader: Reader,
      reference: ChannelReference,
      type: ConnectionType = 'subscribe',
    ): Promise<Admission> {
      const admission = await admit(reader, reference, type)
      if (reader.kind === 'user' && !(await channels.userMay(reader.principal, admission.channelId, type))) {
        throw new Forbidden('the channel or its domain is not enabled')
      }
      return admission
    },
  }
}
