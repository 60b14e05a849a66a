import { randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import type { Db, Trx } from '../../platform/db/connect.ts'
import type { Page } from '../../platform/db/listing.ts'
import { transact } from '../../platform/db/transact.ts'
import { NotFound } from '../../platform/errors.ts'
import type { Vault } from '../../platform/vault.ts'
import type { Policy } from '../auth/service.ts'
import type { Principal } from '../auth/types.ts'
import { mayUpdate, openList, withAccess } from '../entities/lists.ts'
import { createParentRules } from '../entities/parents.ts'
import { requireGroups } from '../entities/repository.ts'
import { createEntityRules } from '../entities/rules.ts'
import type { GroupedListing } from '../entities/types.ts'
import type { Journal } from '../journal/service.ts'
import * as repository from './repository.ts'
import * as secrets from './secrets.ts'
import type { Client, ClientChange, ClientWithSecret, NewClient } from './types.ts'

export type Clients = ReturnType<typeof createClients>

const SECRET_PURPOSE = 'client secret'

export function createClients(parts: { db: Db; journal: Journal; policy: Policy; vault: Vault }) {
  const { db, journal, policy, vault } = parts
  const common = { type: 'client', db, journal, policy, find: repository.findClient } as const
  const rules = createEntityRules<Client>({
    ...common,
    async release(trx, client) {
      await repository.deleteConnectionsOf(trx, client.id)
      return {}
    },
  })

  // The domain goes into the hash, so that equal secrets in two domains do not look alike in a dump.
  const hashSecret = (domainId: string, secret: string) => vault.hash(SECRET_PURPOSE, `${domainId} ${secret}`)

  async function changeSecret(
    trx: Trx,
    principal: Principal,
    client: Pick<Client, 'id' | 'domainId'>,
    change: { readonly hash: Buffer; readonly graceS: number },
  ): Promise<void> {
    await secrets.updateSecret(trx, client.id, { ...change, updatedBy: principal.userId })
    await secrets.requireUnusedSecrets(trx, client.domainId, [change.hash], [client.id])
    await journal.record(trx, {
      operation: 'client.update_secret',
      domainId: client.domainId,
      entityType: 'client',
      entityId: client.id,
      actorId: principal.userId,
      attributes: { grace_period_s: change.graceS },
    })
  }

  async function read(trx: Trx, id: string): Promise<Client> {
    const client = await repository.findClient(trx, id)
    if (!client) throw new NotFound()
    return client
  }

  return {
    ...rules,
    ...createParentRules<Client>(common),

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
    ): Promise<ClientWithSecret[]> {
      const parents = [...new Set(inputs.map((input) => input.parentGroupId))]
      for (const parent of parents) await policy.requireCreate(principal, 'client', domainId, parent)
      const given = inputs.map((input) => input.secret ?? newSecret())
      const rows = inputs.map((input, index) => ({
        ...input,
        id: input.id ?? randomUUID(),
        domainId,
        secretHash: hashSecret(domainId, given[index] ?? ''),
        createdBy: principal.userId,
      }))
      const ids = rows.map((row) => row.id)
      return transact(db, async (trx) => {
        await requireGroups(trx, domainId, parents)
        const clients = await repository.insertClients(trx, rows)
        const hashes = rows.map((row) => row.secretHash)
        await secrets.requireUnusedSecrets(trx, domainId, hashes, ids)
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
        return clients.map((client, index) => ({ client, secret: given[index] ?? '' }))
      })
    },

    /** The client; its private part to those who may update it. @throws {Forbidden} @throws {NotFound} */
    async get(principal: Principal, domainId: string, id: string): Promise<Client> {
      const client = await rules.get(principal, domainId, id)
      return mayUpdate(principal, 'client', client.access) ? client : withoutPrivatePart(client)
    },

    /** The clients that the caller may read, of one domain or of all; see {@link openList} for what it may throw. */
    async list(principal: Principal, listing: GroupedListing): Promise<Page<Client>> {
      const view = await openList(policy, principal, 'client', listing)
      const page = await repository.listClients(db, view, listing)
      return withAccess(policy, view, page, withoutPrivatePart)
    },

    /** @throws {Forbidden} @throws {NotFound} */
    async update(principal: Principal, domainId: string, id: string, change: ClientChange): Promise<Client> {
      const { name, metadata, privateMetadata } = change
      const columns = { name, metadata, private_metadata: privateMetadata }
      // The private part is not for all who may read the journal.
      return rules.change(principal, domainId, id, columns, { name, metadata })
    },

    /**
     * Replaces the secret by one that the user brings. Its own present one, and none, change nothing (contract D29).
     *
     * @returns the secret as it was given
     * @throws {Forbidden} @throws {NotFound} @throws {SecretTaken} another client of the domain has it
     */
    async updateSecret(
      principal: Principal,
      domainId: string,
      id: string,
      secret: string | undefined,
    ): Promise<ClientWithSecret> {
      await policy.require(principal, 'client.update_secret', id, domainId)
      return transact(db, async (trx) => {
        const present = await secrets.lockSecret(trx, id)
        if (!present) throw new NotFound()
        if (secret !== undefined) {
          const hash = hashSecret(domainId, secret)
          if (!hash.equals(present)) await changeSecret(trx, principal, { id, domainId }, { hash, graceS: 0 })
        }
        return { client: await read(trx, id), secret: secret ?? '' }
      })
    },

    /**
     * Makes a new secret (contract D29).
     *
     * @param graceS seconds for which the old one still holds; then connections that came in with it close
     * @throws {Forbidden} @throws {NotFound}
     */
    async rotateSecret(
      principal: Principal,
      domainId: string,
      id: string,
      graceS: number,
    ): Promise<ClientWithSecret> {
      await policy.require(principal, 'client.update_secret', id, domainId)
      const secret = newSecret()
      return transact(db, async (trx) => {
        if (!(await secrets.lockSecret(trx, id))) throw new NotFound()
        const hash = hashSecret(domainId, secret)
        await changeSecret(trx, principal, { id, domainId }, { hash, graceS })
        return { client: await read(trx, id), secret }
      })
    },

    /** Ends old secrets whose time is over, and says so, so that connections which came in with them close. */
    async expireOldSecrets(): Promise<void> {
      await db.transaction().execute(async (trx) => {
        const expired = await secrets.expireOldSecrets(trx)
        await journal.record(
          trx,
          ...expired.map(({ id, domainId }) => ({
            operation: 'client.update_secret',
            domainId,
            entityType: 'client' as const,
            entityId: id,
            actorId: null,
            attributes: { old_secret: 'expired' },
          })),
        )
      })
    },

    /** The client of this id, who has proven by other means than a secret that it is the one. Disabled ones are none. */
    async identify(
      clientId: string,
    ): Promise<{ readonly id: string; readonly domainId: string } | undefined> {
      const identity = await secrets.findIdentity(db, clientId)
      return identity && { id: identity.id, domainId: identity.domainId }
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
        return secrets.findIdentityBySecret(db, credentials.domainId, hash)
      }
      const identity = await secrets.findIdentity(db, credentials.clientId)
      if (!identity) return undefined
      const shown = hashSecret(identity.domainId, secret)
      return identity.hashes.some((hash) => timingSafeEqual(shown, hash)) ? identity : undefined
    },
  }
}

const withoutPrivatePart = (client: Client): Client => ({ ...client, privateMetadata: undefined })

/** 128 random bits in the form of a UUID, which is how devices in the field expect a secret to look. */
function newSecret(): string {
  return randomBytes(16)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
