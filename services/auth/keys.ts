import { setTimeout as sleep } from 'node:timers/promises'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK } from 'jose'
import type { CryptoKey, JWK } from 'jose'
import { sql } from 'kysely'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { Unavailable } from '../../platform/errors.ts'
import type { Vault } from '../../platform/vault.ts'

export const SIGNING_ALGORITHM = 'EdDSA'
const SEAL_PURPOSE = 'signing key'
const LOCK = 7_401_001
/** How long a key that has a successor may still verify: the longest life of an access token, and an hour for stragglers. */
const OVERLAP_S = 90_000
/** Keys that nobody knows make us look again, so often at the most. */
const RELOAD_PAUSE_MS = 250

export interface SigningKey {
  readonly id: string
  readonly privateKey: CryptoKey
  readonly publicKey: CryptoKey
  readonly publicJwk: JWK
  readonly createdAt: Date
}

/** The keys that access tokens are signed with: the newest signs, older ones verify as long as what they signed may live. */
export interface KeyRing {
  signer(): SigningKey
  /** Looks into the database for a key that this process has not met: another one may have made it a moment ago. */
  find(id: string): Promise<SigningKey | undefined>
  /** Public keys, newest first, as RFC 7517 section 5 writes them. */
  jwks(): { readonly keys: readonly JWK[] }
  /** Adds a new key in the transaction; {@link refresh} after it has committed. */
  add(trx: Trx): Promise<void>
  /** Reads the keys anew. */
  refresh(): Promise<void>
  /** Reads the keys anew, replaces the newest when it is too old, and removes those that are of no more use. */
  maintain(): Promise<void>
}

/**
 * Reads the keys, or makes the first one. Processes that start together agree on one, because they take turns under an
 * advisory lock.
 *
 * @throws {Unavailable} the keys were sealed under another master key
 */
export async function createKeyRing({
  db,
  vault,
  maxAgeS,
}: {
  db: Db
  vault: Vault
  maxAgeS: number
}): Promise<KeyRing> {
  const opened = new Map<string, SigningKey>()
  let keys: readonly SigningKey[] = []
  let reloading: Promise<void> | undefined
  let reloadedAtMs = 0

  async function refresh(): Promise<void> {
    const rows = await db.selectFrom('signing_keys').selectAll().orderBy('created_at', 'desc').execute()
    const next = await Promise.all(
      rows.map(async (row) => ({
        ...(opened.get(row.id) ?? (await openKey(row, vault))),
        createdAt: row.created_at,
      })),
    )
    opened.clear()
    for (const key of next) opened.set(key.id, key)
    keys = next.filter((_key, index) => index === 0 || isInOverlap(next[index - 1]))
  }

  async function add(trx: Trx): Promise<void> {
    await trx
      .insertInto('signing_keys')
      .values(await newKey(vault))
      .execute()
  }

  /** Makes a key unless there is one that is younger. */
  async function addUnlessSince(moment: Date): Promise<void> {
    await db.transaction().execute(async (trx) => {
      await sql`select pg_advisory_xact_lock(${LOCK})`.execute(trx)
      const { rows } = await sql`select id from signing_keys where created_at > ${moment} limit 1`.execute(
        trx,
      )
      if (rows.length === 0) await add(trx)
    })
  }

  /** All who ask at the same time share one look; each further one follows at a distance. */
  async function reload(): Promise<void> {
    await sleep(Math.max(0, reloadedAtMs + RELOAD_PAUSE_MS - Date.now()))
    // Who asks from here on wants to see what is committed from here on.
    reloading = undefined
    reloadedAtMs = Date.now()
    await refresh()
  }

  const signer = (): SigningKey => {
    const [newest] = keys
    if (!newest) throw new Unavailable('there is no signing key')
    return newest
  }

  await refresh()
  if (keys.length === 0) {
    await addUnlessSince(new Date(0))
    await refresh()
  }

  return {
    signer,
    add,
    refresh,
    async find(id) {
      if (!keys.some((key) => key.id === id)) {
        await (reloading ??= reload())
      }
      return keys.find((key) => key.id === id)
    },
    jwks: () => ({ keys: keys.map((key) => key.publicJwk) }),
    async maintain() {
      await refresh()
      await removeSuperseded(db)
      const limit = new Date(Date.now() - maxAgeS * 1_000)
      if (signer().createdAt > limit) return
      await addUnlessSince(limit)
      await refresh()
    },
  }
}

const isInOverlap = (successor: SigningKey | undefined) =>
  successor !== undefined && successor.createdAt.getTime() + OVERLAP_S * 1_000 > Date.now()

async function removeSuperseded(db: Db): Promise<void> {
  await sql`
    delete from signing_keys k where exists (
      select from signing_keys s
      where s.created_at > k.created_at and s.created_at < now() - make_interval(secs => ${OVERLAP_S}))`.execute(
    db,
  )
}

async function newKey(vault: Vault) {
  const { privateKey, publicKey } = await generateKeyPair(SIGNING_ALGORITHM, {
    crv: 'Ed25519',
    extractable: true,
  })
  const publicJwk = await exportJWK(publicKey)
  const privateJwk = await exportJWK(privateKey)
  return {
    id: await calculateJwkThumbprint(publicJwk),
    public_jwk: JSON.stringify(publicJwk),
    private_jwk_sealed: vault.seal(SEAL_PURPOSE, Buffer.from(JSON.stringify(privateJwk))),
    // The clock and not the transaction's beginning: two that wait for each other keep their order.
    created_at: sql<Date>`clock_timestamp()`,
  }
}

async function openKey(
  row: { id: string; public_jwk: JWK; private_jwk_sealed: Uint8Array; created_at: Date },
  vault: Vault,
): Promise<SigningKey> {
  const privateJwk = unseal(vault, row.private_jwk_sealed)
  // Asymmetric JWKs import as CryptoKey; only symmetric ones are bytes.
  const privateKey = (await importJWK(privateJwk, SIGNING_ALGORITHM)) as CryptoKey
  const publicKey = (await importJWK(row.public_jwk, SIGNING_ALGORITHM)) as CryptoKey
  const publicJwk = { ...row.public_jwk, kid: row.id, alg: SIGNING_ALGORITHM, use: 'sig' }
  return { id: row.id, privateKey, publicKey, publicJwk, createdAt: row.created_at }
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
