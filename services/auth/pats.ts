import { randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import type { Db, Trx } from '../../platform/db/connect.ts'
import type { Page } from '../../platform/db/listing.ts'
import { NotFound, Unauthenticated } from '../../platform/errors.ts'
import type { Scope } from '../../platform/principal.ts'
import type { Vault } from '../../platform/vault.ts'
import type { Journal } from '../journal/service.ts'
import * as repository from './pat-repository.ts'
import type { PatListing } from './pat-repository.ts'
import type { Bearer } from './sessions.ts'
import type { CreatedPat, NewPat, Pat, PatScope, Principal } from './types.ts'

export type { PatListing } from './pat-repository.ts'
export type Pats = ReturnType<typeof createPats>

const PURPOSE = 'personal access token'
const SECRET = /^pat_([A-Za-z0-9+/]{43}=)_[A-Za-z0-9]{100}$/
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
/** `last_used_at` is as exact as this: a token that is used a thousand times a second costs one write a minute. */
const TOUCH_MS = 60_000

/** Tokens that a person makes for a machine: they hold long, and do what their scopes name and nothing else (contract 9). */
export function createPats({ db, vault, journal }: { db: Db; vault: Vault; journal: Journal }) {
  const hash = (secret: string) => vault.hash(PURPOSE, secret)

  async function record(
    trx: Trx,
    { userId }: Principal,
    operation: string,
    attributes: Record<string, unknown>,
  ): Promise<void> {
    await journal.record(trx, {
      operation: `pat.${operation}`,
      domainId: null,
      entityType: 'user',
      entityId: userId,
      actorId: userId,
      attributes,
    })
  }

  async function change(
    principal: Principal,
    id: string,
    operation: string,
    what: Parameters<typeof repository.updatePat>[3],
    attributes: Record<string, unknown> = {},
  ): Promise<Pat> {
    return db.transaction().execute(async (trx) => {
      const pat = await repository.updatePat(trx, principal.userId, id, what)
      if (!pat) throw new NotFound()
      await record(trx, principal, operation, { pat_id: id, ...attributes })
      return pat
    })
  }

  return {
    /** @returns with the secret, which is never shown again */
    async create(principal: Principal, input: NewPat): Promise<CreatedPat> {
      const id = randomUUID()
      const secret = newSecret(principal.userId, id)
      const pat = await db.transaction().execute(async (trx) => {
        const { userId } = principal
        const inserted = await repository.insertPat(trx, { ...input, id, userId, secretHash: hash(secret) })
        await record(trx, principal, 'create', { pat_id: id, name: input.name, expires_at: input.expiresAt })
        return inserted
      })
      return { pat, secret }
    },

    /** The caller's own tokens. */
    async list(principal: Principal, listing: PatListing): Promise<Page<Pat>> {
      return repository.listPats(db, principal.userId, listing)
    },

    /** @throws {NotFound} the caller has no such token */
    async get(principal: Principal, id: string): Promise<Pat> {
      const pat = await repository.findPat(db, principal.userId, id)
      if (!pat) throw new NotFound()
      return pat
    },

    /** @throws {NotFound} */
    async update(
      principal: Principal,
      id: string,
      what: { readonly name?: string; readonly description?: string },
    ): Promise<Pat> {
      return change(principal, id, 'update', what, what)
    },

    /**
     * Gives the token a new secret and a new end; also one that was revoked.
     *
     * @throws {NotFound}
     */
    async resetSecret(principal: Principal, id: string, expiresAt: Date): Promise<CreatedPat> {
      const secret = newSecret(principal.userId, id)
      const what = { secretHash: hash(secret), expiresAt, revokedAt: null }
      return { pat: await change(principal, id, 'reset', what, { expires_at: expiresAt }), secret }
    },

    /** @throws {NotFound} */
    async revoke(principal: Principal, id: string): Promise<void> {
      await change(principal, id, 'revoke', { revokedAt: new Date() })
    },

    /**
     * Deletes one of the caller's tokens.
     *
     * @throws {NotFound}
     */
    async remove(principal: Principal, id: string): Promise<void> {
      await db.transaction().execute(async (trx) => {
        const removed = await repository.deletePats(trx, principal.userId, id)
        if (removed.length === 0) throw new NotFound()
        await record(trx, principal, 'delete', { pat_id: id })
      })
    },

    /** Deletes all tokens of the caller. */
    async removeAll(principal: Principal): Promise<void> {
      await db.transaction().execute(async (trx) => {
        const removed = await repository.deletePats(trx, principal.userId)
        if (removed.length > 0) await record(trx, principal, 'delete', { pat_ids: removed })
      })
    },

    /**
     * Lets the token do more.
     *
     * @throws {NotFound} @throws {ScopeTaken} it has one of them; then none is added
     */
    async addScopes(principal: Principal, id: string, scopes: readonly Scope[]): Promise<void> {
      await db.transaction().execute(async (trx) => {
        if (!(await repository.findPat(trx, principal.userId, id))) throw new NotFound()
        const named = scopes.map((scope) => ({ ...scope, id: randomUUID() }))
        await repository.insertScopes(trx, id, named)
        await record(trx, principal, 'add_scopes', { pat_id: id, scopes })
      })
    },

    /**
     * Takes scopes from the token; those that it does not have are no error.
     *
     * @param scopeIds all of them when absent
     * @throws {NotFound} no such token
     */
    async removeScopes(principal: Principal, id: string, scopeIds?: readonly string[]): Promise<void> {
      await db.transaction().execute(async (trx) => {
        if (!(await repository.findPat(trx, principal.userId, id))) throw new NotFound()
        await repository.deleteScopes(trx, id, scopeIds)
        await record(trx, principal, 'remove_scopes', { pat_id: id, scope_ids: scopeIds })
      })
    },

    /** @throws {NotFound} */
    async listScopes(
      principal: Principal,
      id: string,
      listing: Parameters<typeof repository.listScopes>[2],
    ): Promise<Page<PatScope>> {
      await this.get(principal, id)
      return repository.listScopes(db, id, listing)
    },

    /**
     * Who a personal access token speaks for, and what it is good for.
     *
     * @throws {Unauthenticated} none of ours, revoked, expired, or of a user who is not enabled
     */
    async authenticate(secret: string): Promise<
      Bearer & {
        readonly scopes: readonly Scope[]
        readonly patId: string
        readonly expiresAtMs: number
      }
    > {
      const [userId, patId] = readIds(secret) ?? []
      const live = userId && patId ? await repository.findLivePat(db, userId, patId) : undefined
      if (!live || !patId || !timingSafeEqual(hash(secret), live.secretHash)) {
        throw new Unauthenticated('missing or invalid bearer user token')
      }
      if ((live.lastUsedAt?.getTime() ?? 0) < Date.now() - TOUCH_MS) await repository.touchPat(db, patId)
      const { isSuperadmin, isVerified, scopes } = live
      const expiresAtMs = live.expiresAt.getTime()
      return { userId: live.userId, isSuperadmin, isVerified, scopes, patId, expiresAtMs }
    },

    /** What {@link authenticate} said of a token, asked again later by its id; `undefined` when it holds no more. */
    async find(userId: string, patId: string) {
      const live = await repository.findLivePat(db, userId, patId)
      return (
        live && { userId, isSuperadmin: live.isSuperadmin, isVerified: live.isVerified, scopes: live.scopes }
      )
    },
  }
}

/** `pat_<base64 of user id and pat id, 16 bytes each>_<100 random characters>` (contract 9). */
function newSecret(userId: string, patId: string): string {
  const ids = Buffer.from((userId + patId).replaceAll('-', ''), 'hex')
  return `pat_${ids.toString('base64')}_${randomText(100)}`
}

/** Of letters and digits, each as likely as the others. */
function randomText(length: number): string {
  let text = ''
  while (text.length < length) {
    for (const byte of randomBytes(length)) {
      // The last bytes would make the first characters likelier.
      if (byte < 248 && text.length < length) text += ALPHABET[byte % ALPHABET.length]
    }
  }
  return text
}

/** The ids of user and token that a secret names. */
function readIds(secret: string): readonly [string, string] | undefined {
  const encoded = SECRET.exec(secret)?.[1]
  if (encoded === undefined) return undefined
  const hex = Buffer.from(encoded, 'base64').toString('hex')
  return [toUuid(hex.slice(0, 32)), toUuid(hex.slice(32))]
}

const toUuid = (hex: string) => hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
