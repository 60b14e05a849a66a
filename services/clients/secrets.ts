import { sql } from 'kysely'
import { violates } from '../../platform/db/connect.ts'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { SecretTaken } from './errors.ts'

/** A client that may authenticate: enabled, in an enabled domain. */
export interface Identity {
  readonly id: string
  readonly domainId: string
  /** Hashes of the secret and, while it still holds, of the one before. */
  readonly hashes: readonly Buffer[]
}

const identities = (db: Db) =>
  db
    .selectFrom('clients')
    .innerJoin('domains', 'domains.id', 'clients.domain_id')
    .select([
      'clients.id',
      'clients.domain_id as domainId',
      sql<Buffer[]>`array_remove(array[clients.secret_hash,
        case when clients.old_secret_expires_at > now() then clients.old_secret_hash end], null)`.as(
        'hashes',
      ),
    ])
    .where('clients.status', '=', 'enabled')
    .where('domains.status', '=', 'enabled')

export async function findIdentity(db: Db, clientId: string): Promise<Identity | undefined> {
  return identities(db).where('clients.id', '=', clientId).executeTakeFirst()
}

export async function findIdentityBySecret(
  db: Db,
  domainId: string,
  hash: Buffer,
): Promise<Identity | undefined> {
  return identities(db)
    .where('clients.domain_id', '=', domainId)
    .where(
      sql<boolean>`(clients.secret_hash = ${hash}
        or (clients.old_secret_hash = ${hash} and clients.old_secret_expires_at > now()))`,
    )
    .executeTakeFirst()
}

/** Locks the client until the transaction ends. */
export async function lockSecret(trx: Trx, clientId: string): Promise<Buffer | undefined> {
  const row = await trx
    .selectFrom('clients')
    .select('secret_hash')
    .where('id', '=', clientId)
    .where('status', '<>', 'deleted')
    .forUpdate()
    .executeTakeFirst()
  return row?.secret_hash
}

/**
 * @param graceS seconds for which the secret before this one still holds; 0 ends it at once
 * @throws {SecretTaken}
 */
export async function updateSecret(
  trx: Trx,
  clientId: string,
  secret: { readonly hash: Buffer; readonly graceS: number; readonly updatedBy: string },
): Promise<void> {
  const { hash, graceS, updatedBy } = secret
  const old =
    graceS === 0
      ? sql`old_secret_hash = null, old_secret_expires_at = null`
      : sql`old_secret_hash = secret_hash, old_secret_expires_at = now() + make_interval(secs => ${graceS})`
  try {
    await sql`
      update clients set ${old}, secret_hash = ${hash}, updated_at = now(), updated_by = ${updatedBy}
      where id = ${clientId}`.execute(trx)
  } catch (error) {
    if (violates(error, 'clients_secret_key')) throw new SecretTaken({ cause: error })
    throw error
  }
}

/**
 * Demands that no other client of the domain still gets in with one of these secrets. Asked after they were written: who
 * changes over from such a secret held it in the unique index until then, so the writing has waited for the change.
 *
 * @param clientIds those whose secrets these are
 * @throws {SecretTaken}
 */
export async function requireUnusedSecrets(
  trx: Trx,
  domainId: string,
  hashes: readonly Buffer[],
  clientIds: readonly string[],
): Promise<void> {
  const { rows } = await sql`
    select from clients
    where domain_id = ${domainId} and old_secret_hash = any (${[...hashes]}::bytea[]) and old_secret_expires_at > now()
      and status <> 'deleted' and id <> all (${[...clientIds]}::uuid[]) limit 1`.execute(trx)
  if (rows.length > 0) throw new SecretTaken()
}

/** Ends the old secrets whose time is over. @returns whose they were */
export async function expireOldSecrets(trx: Trx): Promise<{ id: string; domainId: string }[]> {
  const { rows } = await sql<{ id: string; domainId: string }>`
    update clients set old_secret_hash = null, old_secret_expires_at = null
    where old_secret_hash is not null and old_secret_expires_at <= now()
    returning id, domain_id as "domainId"`.execute(trx)
  return rows
}
