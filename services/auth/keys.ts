import { sql } from 'kysely'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK } from 'jose'
import type { CryptoKey, JWK } from 'jose'
import type { Db } from '../../platform/db/connect.ts'
import { Unavailable } from '../../platform/errors.ts'
import type { Vault } from '../../platform/vault.ts'

export const SIGNING_ALGORITHM = 'EdDSA'
const SEAL_PURPOSE = 'signing key'
const LOCK = 7_401_001

export interface SigningKey {
  readonly id: string
  readonly privateKey: CryptoKey
  readonly publicKey: CryptoKey
  readonly publicJwk: JWK
}

/**
 * Reads the newest signing key, or makes the first one. Processes that start together agree on one, because they take
 * turns under an advisory lock.
 *
 * @throws {Unavailable} the key was sealed under another master key
 */
export async function loadSigningKey(db: Db, vault: Vault): Promise<SigningKey> {
  return db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(${LOCK})`.execute(trx)
    const stored = await trx
      .selectFrom('signing_keys')
      .selectAll()
      .orderBy('created_at', 'desc')
      .limit(1)
      .executeTakeFirst()
    if (stored) return openKey(stored.id, stored.public_jwk, unseal(vault, stored.private_jwk_sealed))

    const { privateKey, publicKey } = await generateKeyPair(SIGNING_ALGORITHM, {
      crv: 'Ed25519',
      extractable: true,
    })
    const publicJwk = await exportJWK(publicKey)
    const privateJwk = await exportJWK(privateKey)
    const id = await calculateJwkThumbprint(publicJwk)
    await trx
      .insertInto('signing_keys')
      .values({
        id,
        public_jwk: JSON.stringify(publicJwk),
        private_jwk_sealed: vault.seal(SEAL_PURPOSE, Buffer.from(JSON.stringify(privateJwk))),
      })
      .execute()
    return openKey(id, publicJwk, privateJwk)
  })
}

function unseal(vault: Vault, box: Uint8Array): JWK {
  try {
    return JSON.parse(vault.open(SEAL_PURPOSE, box).toString()) as JWK
  } catch (error) {
    throw new Unavailable(
      'the master key is not the one this database was set up with: set SLUICE_SECRET_KEY to that one, or bring back secret.key in the data folder',
      { cause: error },
    )
  }
}

async function openKey(id: string, publicJwk: JWK, privateJwk: JWK): Promise<SigningKey> {
  // Asymmetric JWKs import as CryptoKey; only symmetric ones are bytes.
  const privateKey = (await importJWK(privateJwk, SIGNING_ALGORITHM)) as CryptoKey
  const publicKey = (await importJWK(publicJwk, SIGNING_ALGORITHM)) as CryptoKey
  return {
    id,
    privateKey,
    publicKey,
    publicJwk: { ...publicJwk, kid: id, alg: SIGNING_ALGORITHM, use: 'sig' },
  }
}
