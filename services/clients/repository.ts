import { violates } from '../../platform/db/connect.ts'
import type { Trx } from '../../platform/db/connect.ts'
import { IdTaken } from '../entities/errors.ts'
import { createGroupedRepository, groupedValues, toGrouped } from '../entities/grouped-repository.ts'
import { inIdOrder } from '../entities/repository.ts'
import type { Placed } from '../entities/types.ts'
import { SecretTaken } from './errors.ts'
import type { Client, NewClient } from './types.ts'

export const stored = createGroupedRepository('client', (row): Client => ({
  ...toGrouped(row),
  identity: row.identity,
  privateMetadata: row.private_metadata,
}))

export type InsertClient = Placed<NewClient> & { readonly secretHash: Buffer }

/**
 * Inserts all or none, in one statement.
 *
 * @returns the clients in the order given
 * @throws {IdTaken} @throws {SecretTaken}
 */
export async function insertClients(trx: Trx, clients: readonly InsertClient[]): Promise<Client[]> {
  try {
    await trx
      .insertInto('clients')
      .values(
        inIdOrder(clients).map((client) => ({
          ...groupedValues(client),
          identity: client.identity,
          secret_hash: client.secretHash,
          private_metadata: JSON.stringify(client.privateMetadata),
        })),
      )
      .execute()
  } catch (error) {
    if (violates(error, 'clients_pkey')) throw new IdTaken({ cause: error })
    if (violates(error, 'clients_secret_key')) throw new SecretTaken({ cause: error })
    throw error
  }
  return stored.readAll(
    trx,
    clients.map((client) => client.id),
  )
}
