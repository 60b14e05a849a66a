import { sql } from 'kysely'
import type { Expression, Selectable, SqlBool } from 'kysely'
import { violates } from '../../platform/db/connect.ts'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { contains } from '../../platform/db/listing.ts'
import type { Page } from '../../platform/db/listing.ts'
import type { PatScopesTable, PatsTable } from '../../platform/db/tables.ts'
import type { Scope } from '../../platform/principal.ts'
import { ScopeTaken } from './errors.ts'
import type { Pat, PatScope, PatStatus } from './types.ts'

export interface PatListing {
  readonly offset: number
  readonly limit: number
  readonly id: string | undefined
  readonly name: string | undefined
  /** `undefined` means all. */
  readonly status: PatStatus | undefined
}

function toPat(row: Selectable<PatsTable>): Pat {
  return {
    id: row.id,
    userId: row.user_id,
    name: row.name,
    description: row.description,
    issuedAt: row.issued_at,
    expiresAt: row.expires_at,
    updatedAt: row.updated_at,
    lastUsedAt: row.last_used_at,
    revokedAt: row.revoked_at,
  }
}

const toScope = (row: Selectable<PatScopesTable>): PatScope => ({
  id: row.id,
  patId: row.pat_id,
  entityType: row.entity_type,
  domainId: row.domain_id ?? undefined,
  entityId: row.entity_id,
  operation: row.operation,
})

export async function insertPat(
  trx: Trx,
  pat: Pick<Pat, 'id' | 'userId' | 'name' | 'description' | 'expiresAt'> & { readonly secretHash: Buffer },
): Promise<Pat> {
  const row = await trx
    .insertInto('pats')
    .values({
      id: pat.id,
      user_id: pat.userId,
      name: pat.name,
      description: pat.description,
      secret_hash: pat.secretHash,
      expires_at: pat.expiresAt,
      updated_at: null,
      last_used_at: null,
      revoked_at: null,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  return toPat(row)
}

export async function findPat(db: Db, userId: string, id: string): Promise<Pat | undefined> {
  const row = await db
    .selectFrom('pats')
    .selectAll()
    .where('id', '=', id)
    .where('user_id', '=', userId)
    .executeTakeFirst()
  return row && toPat(row)
}

/** @returns the changed token; `undefined` when the user has none of this id */
export async function updatePat(
  trx: Trx,
  userId: string,
  id: string,
  change: {
    readonly name?: string
    readonly description?: string
    readonly secretHash?: Buffer
    readonly expiresAt?: Date
    readonly revokedAt?: Date | null
  },
): Promise<Pat | undefined> {
  const row = await trx
    .updateTable('pats')
    .set({
      updated_at: sql<Date>`now()`,
      ...(change.name === undefined ? {} : { name: change.name }),
      ...(change.description === undefined ? {} : { description: change.description }),
      ...(change.secretHash === undefined ? {} : { secret_hash: change.secretHash }),
      ...(change.expiresAt === undefined ? {} : { expires_at: change.expiresAt }),
      ...(change.revokedAt === undefined ? {} : { revoked_at: change.revokedAt }),
    })
    .where('id', '=', id)
    .where('user_id', '=', userId)
    .returningAll()
    .executeTakeFirst()
  return row && toPat(row)
}

/** @param id one of the user's tokens; all of them when absent */
export async function deletePats(trx: Trx, userId: string, id?: string): Promise<string[]> {
  const rows = await trx
    .deleteFrom('pats')
    .where('user_id', '=', userId)
    .$if(id !== undefined, (query) => query.where('id', '=', id ?? ''))
    .returning('id')
    .execute()
  return rows.map((row) => row.id)
}

const STATUS: Readonly<Record<PatStatus, Expression<SqlBool>>> = {
  active: sql`revoked_at is null and expires_at > now()`,
  revoked: sql`revoked_at is not null`,
  expired: sql`revoked_at is null and expires_at <= now()`,
}

export async function listPats(db: Db, userId: string, listing: PatListing): Promise<Page<Pat>> {
  const { id, name, status } = listing
  const matching = db
    .selectFrom('pats')
    .where('user_id', '=', userId)
    .$if(id !== undefined, (query) => query.where('id', '=', id ?? ''))
    .$if(name !== undefined, (query) => query.where('name', 'ilike', contains(name ?? '')))
    .$if(status !== undefined, (query) => query.where(STATUS[status ?? 'active']))
  const [counted, rows] = await Promise.all([
    matching.select(sql<number>`count(*)`.as('total')).executeTakeFirst(),
    matching
      .selectAll()
      .orderBy('issued_at', 'desc')
      .orderBy('id')
      .limit(listing.limit)
      .offset(listing.offset)
      .execute(),
  ])
  return { total: counted?.total ?? 0, items: rows.map(toPat) }
}

/** @throws {ScopeTaken} the token has one of them */
export async function insertScopes(
  trx: Trx,
  patId: string,
  scopes: readonly (Scope & { readonly id: string })[],
): Promise<void> {
  try {
    await trx
      .insertInto('pat_scopes')
      .values(
        scopes.map((scope) => ({
          id: scope.id,
          pat_id: patId,
          entity_type: scope.entityType,
          domain_id: scope.domainId ?? null,
          entity_id: scope.entityId,
          operation: scope.operation,
        })),
      )
      .execute()
  } catch (error) {
    if (violates(error, 'pat_scopes_key')) throw new ScopeTaken({ cause: error })
    throw error
  }
}

/** @param ids some of the token's scopes; all of them when absent */
export async function deleteScopes(trx: Trx, patId: string, ids?: readonly string[]): Promise<void> {
  await trx
    .deleteFrom('pat_scopes')
    .where('pat_id', '=', patId)
    .$if(ids !== undefined, (query) => query.where('id', 'in', ids ?? []))
    .execute()
}

export async function listScopes(
  db: Db,
  patId: string,
  { offset, limit, id }: { readonly offset: number; readonly limit: number; readonly id: string | undefined },
): Promise<Page<PatScope>> {
  const matching = db
    .selectFrom('pat_scopes')
    .where('pat_id', '=', patId)
    .$if(id !== undefined, (query) => query.where('id', '=', id ?? ''))
  const [counted, rows] = await Promise.all([
    matching.select(sql<number>`count(*)`.as('total')).executeTakeFirst(),
    matching.selectAll().orderBy('seq').limit(limit).offset(offset).execute(),
  ])
  return { total: counted?.total ?? 0, items: rows.map(toScope) }
}

export interface LivePat {
  readonly userId: string
  readonly isSuperadmin: boolean
  readonly isVerified: boolean
  readonly secretHash: Buffer
  readonly lastUsedAt: Date | null
  readonly expiresAt: Date
  readonly scopes: readonly Scope[]
}

/** A token that is neither revoked nor expired, of a user who may come in, with its scopes: one statement, asked on every request. */
export async function findLivePat(db: Db, userId: string, id: string): Promise<LivePat | undefined> {
  const { rows } = await sql<LivePat>`
    select u.id as "userId", u.role = 'admin' as "isSuperadmin", u.verified_at is not null as "isVerified",
      p.secret_hash as "secretHash", p.last_used_at as "lastUsedAt", p.expires_at as "expiresAt",
      (select coalesce(json_agg(json_strip_nulls(json_build_object('entityType', s.entity_type, 'domainId', s.domain_id,
        'entityId', s.entity_id, 'operation', s.operation))), '[]') from pat_scopes s where s.pat_id = p.id) as scopes
    from pats p join users u on u.id = p.user_id
    where p.id = ${id} and p.user_id = ${userId} and u.status = 'enabled' and ${STATUS.active}`.execute(db)
  return rows[0]
}

export async function touchPat(db: Db, id: string): Promise<void> {
  await db
    .updateTable('pats')
    .set({ last_used_at: sql<Date>`now()` })
    .where('id', '=', id)
    .execute()
}
