import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { transact } from '../../platform/db/transact.ts'
import { NotFound } from '../../platform/errors.ts'
import type { Vault } from '../../platform/vault.ts'
import type { Policy } from '../auth/service.ts'
import type { Principal } from '../auth/types.ts'
import { createGrouped } from '../entities/creation.ts'
import { createGroupedRules } from '../entities/grouped.ts'
import type { Placed } from '../entities/types.ts'
import type { Journal } from '../journal/service.ts'
import { countSubscriptions } from './presence-repository.ts'
import * as repository from './repository.ts'
import * as secrets from './secrets.ts'
import type { Client, ClientChange, ClientWithSecret, NewClient } from './types.ts'

export type { Presence } from './presence.ts'

export type Clients = ReturnType<typeof createClients>

const SECRET_PURPOSE = 'client secret'

export function createClients(parts: { db: Db; journal: Journal; policy: Policy; vault: Vault }) {
  const { db, journal, policy, vault } = parts
  const common = { type: 'client', db, journal, policy } as const
  const rules = createGroupedRules({ ...common, stored: repository.stored, hide: withoutPrivatePart })

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

  async function read(trx: Trx, principal: Principal, id: string): Promise<Client> {
    const client = await repository.stored.find(trx, id)
    if (!client) throw new NotFound()
    return rules.show(principal, client)
  }

  return {
    ...rules,

    /**
     * Creates clients in a domain, all or none, and makes the caller admin of each.
     *
     * @returns in the order given, each with its secret, which is never shown again
     * @throws {Forbidden} @throws {NotFound} no such parent group in the domain
     * @throws {IdTaken} @throws {SecretTaken}
     */
    async create(
      principal: Principal,
      domainId: string,
      inputs: readonly NewClient[],
    ): Promise<ClientWithSecret[]> {
      const given = inputs.map((input) => input.secret ?? newSecret())
      async function insert(trx: Trx, rows: readonly Placed<NewClient>[]): Promise<Client[]> {
        const hashes = given.map((secret) => hashSecret(domainId, secret))
        const clients = rows.map((row, index) => ({ ...row, secretHash: hashes[index] as Buffer }))
        const inserted = await repository.insertClients(trx, clients)
        const ids = rows.map((row) => row.id)
        await secrets.requireUnusedSecrets(trx, domainId, hashes, ids)
        return inserted
      }
      const created = await createGrouped({ ...common, insert, describe }, principal, domainId, inputs)
      return created.map((client, index) => ({ client, secret: given[index] ?? '' }))
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
        return { client: await read(trx, principal, id), secret: secret ?? '' }
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
        return { client: await read(trx, principal, id), secret }
      })
    },

    /** What its connections are subscribed to, as of a few seconds ago; whoever asks has checked who may know. */
    countSubscriptions: (id: string) => countSubscriptions(db, id),

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

const describe = ({ name, status }: Client) => ({ name, status })

const withoutPrivatePart = (client: Client): Client => ({ ...client, privateMetadata: undefined })

/** 128 random bits in the form of a UUID, which is how devices in the field expect a secret to look. */
function newSecret(): string {
  return randomBytes(16)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
