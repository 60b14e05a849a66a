import { randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import type { Db } from '../../platform/db/connect.ts'
import type { Page } from '../../platform/db/listing.ts'
import { NotFound } from '../../platform/errors.ts'
import type { Vault } from '../../platform/vault.ts'
import type { Policy } from '../auth/service.ts'
import type { Principal } from '../auth/types.ts'
import type { Journal } from '../journal/service.ts'
import * as repository from './repository.ts'
import type { ClientListing } from './repository.ts'
import type { Client, CreatedClient, NewClient } from './types.ts'

export type { ClientListing } from './repository.ts'
export type Clients = ReturnType<typeof createClients>

const SECRET_PURPOSE = 'client secret'

export function createClients(parts: { db: Db; journal: Journal; policy: Policy; vault: Vault }) {
  const { db, journal, policy, vault } = parts

  // The domain goes into the hash, so that equal secrets in two domains do not look alike in a dump.
  const hashSecret = (domainId: string, secret: string) => vault.hash(SECRET_PURPOSE, `${domainId} ${secret}`)

  return {
    /**
     * Creates clients in a domain, all or none, and makes the caller admin of each.
     *
     * @returns in the order given, each with its secret, which is never shown again
     * @throws {Forbidden} @throws {NotFound} no such parent group in the domain
     * @throws {ClientIdTaken} @throws {SecretTaken}
     */
    async create(
      principal: Principal,
      domainId: string,
      inputs: readonly NewClient[],
    ): Promise<CreatedClient[]> {
      const parents = new Set(inputs.map((input) => input.parentGroupId))
      for (const parent of parents) await policy.requireCreate(principal, 'client', domainId, parent)
      const secrets = inputs.map((input) => input.secret ?? newSecret())
      const rows = inputs.map((input, index) => ({
        ...input,
        id: input.id ?? randomUUID(),
        domainId,
        secretHash: hashSecret(domainId, secrets[index] ?? ''),
        createdBy: principal.userId,
      }))
      return db.transaction().execute(async (trx) => {
        const clients = await repository.insertClients(trx, rows)
        const ids = clients.map((client) => client.id)
        await policy.grantAdmin(trx, principal, 'client', ids, domainId)
        await journal.record(
          trx,
          ...clients.map((client) => ({
            operation: 'client.create',
            domainId,
            entityType: 'client' as const,
            entityId: client.id,
            actorId: principal.userId,
            attributes: { name: client.name, status: client.status },
          })),
        )
        return clients.map((client, index) => ({ client, secret: secrets[index] ?? '' }))
      })
    },

    /** @throws {Forbidden} @throws {NotFound} */
    async get(principal: Principal, domainId: string, id: string): Promise<Client> {
      await policy.require(principal, 'client.view', id, domainId)
      const client = await repository.findClient(db, id, policy.whereGranted(principal, 'client', 'update'))
      if (!client) throw new NotFound()
      return client
    },

    /** The clients that the caller may read, of one domain or of all. */
    async list(principal: Principal, listing: ClientListing): Promise<Page<Client>> {
      if (listing.domainId !== undefined) {
        await policy.requireMember(principal, 'domain.list_clients', listing.domainId)
      }
      const visible = policy.whereGranted(principal, 'client', 'read')
      return repository.listClients(db, visible, policy.whereGranted(principal, 'client', 'update'), listing)
    },

    /**
     * Which client shows this secret: the one named, or the one of the domain that has it. Disabled clients and those of
     * domains that are not enabled show nothing.
     */
    async authenticate(
      credentials: { readonly secret: string } & (
        { readonly clientId: string } | { readonly domainId: string }
      ),
    ): Promise<{ readonly id: string; readonly domainId: string } | undefined> {
      const { secret } = credentials
      if ('domainId' in credentials) {
        const hash = hashSecret(credentials.domainId, secret)
        return repository.findIdentityBySecret(db, credentials.domainId, hash)
      }
      const identity = await repository.findIdentity(db, credentials.clientId)
      if (!identity) return undefined
      return timingSafeEqual(hashSecret(identity.domainId, secret), identity.secretHash)
        ? identity
        : undefined
    },
  }
}

/** 128 random bits in the form of a UUID, which is how devices in the field expect a secret to look. */
function newSecret(): string {
  return randomBytes(16)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
