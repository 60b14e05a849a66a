import { sql } from 'kysely'
import type { Selectable } from 'kysely'
import { violates } from '../../platform/db/connect.ts'
import type { Db, Trx } from '../../platform/db/connect.ts'
import type { UsersTable } from '../../platform/db/tables.ts'
import { EmailTaken, UsernameTaken } from './errors.ts'
import type { User } from './types.ts'

const SUPERADMIN_LOCK = 7_401_003

export interface InsertUser extends Omit<
  User,
  'authProvider' | 'verifiedAt' | 'createdAt' | 'updatedAt' | 'updatedBy'
> {
  readonly passwordHash: string
}

export function toUser(row: Selectable<UsersTable>): User {
  return {
    id: row.id,
    username: row.username,
    email: row.email,
    firstName: row.first_name,
    lastName: row.last_name,
    role: row.role,
    status: row.status,
    tags: row.tags,
    metadata: row.metadata,
    privateMetadata: row.private_metadata,
    profilePicture: row.profile_picture,
    authProvider: row.auth_provider,
    verifiedAt: row.verified_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    updatedBy: row.updated_by,
  }
}

/** @throws {UsernameTaken} @throws {EmailTaken} by a user who is not deleted */
export async function insertUser(db: Db, user: InsertUser): Promise<User> {
  try {
    const row = await db
      .insertInto('users')
      .values({
        id: user.id,
        username: user.username,
        email: user.email,
        first_name: user.firstName,
        last_name: user.lastName,
        password_hash: user.passwordHash,
        role: user.role,
        status: user.status,
        tags: [...user.tags],
        metadata: JSON.stringify(user.metadata),
        private_metadata: JSON.stringify(user.privateMetadata),
        profile_picture: user.profilePicture,
        verified_at: null,
        updated_by: null,
      })
      .returningAll()
      .executeTakeFirstOrThrow()
    return toUser(row)
  } catch (error) {
    throw explain(error)
  }
}

function explain(error: unknown): unknown {
  if (violates(error, 'users_username_key')) return new UsernameTaken({ cause: error })
  if (violates(error, 'users_email_key')) return new EmailTaken({ cause: error })
  return error
}

/** What may change of a user; absent fields stay. */
export interface UserChange extends Partial<
  Pick<
    User,
    | 'username'
    | 'email'
    | 'firstName'
    | 'lastName'
    | 'role'
    | 'status'
    | 'tags'
    | 'metadata'
    | 'privateMetadata'
    | 'profilePicture'
    | 'verifiedAt'
  >
> {
  readonly passwordHash?: string
}

/**
 * @param from statuses in which the user may be changed so
 * @param actorId `null` when nobody was signed in
 * @returns `undefined` when there is no such user in one of them
 * @throws {UsernameTaken} @throws {EmailTaken}
 */
export async function updateUser(
  trx: Trx,
  id: string,
  change: UserChange,
  actorId: string | null,
  from: readonly User['status'][] = ['enabled', 'disabled'],
): Promise<User | undefined> {
  const { tags, metadata, privateMetadata } = change
  const columns = {
    username: change.username,
    email: change.email,
    first_name: change.firstName,
    last_name: change.lastName,
    password_hash: change.passwordHash,
    role: change.role,
    status: change.status,
    tags: tags && [...tags],
    metadata: metadata && JSON.stringify(metadata),
    private_metadata: privateMetadata && JSON.stringify(privateMetadata),
    profile_picture: change.profilePicture,
    verified_at: change.verifiedAt,
  }
  try {
    const row = await trx
      .updateTable('users')
      // Kysely leaves undefined values out.
      .set({ ...columns, updated_at: sql<Date>`now()`, updated_by: actorId ?? id })
      .where('id', '=', id)
      .where('status', 'in', from)
      .returningAll()
      .executeTakeFirst()
    return row && toUser(row)
  } catch (error) {
    throw explain(error)
  }
}

export async function findUser(db: Db, id: string): Promise<User | undefined> {
  const row = await db
    .selectFrom('users')
    .selectAll()
    .where('id', '=', id)
    .where('status', '<>', 'deleted')
    .executeTakeFirst()
  return row && toUser(row)
}

/** @param identity username or e-mail, case ignored */
export async function findLogin(
  db: Db,
  identity: string,
): Promise<{ id: string; passwordHash: string } | undefined> {
  const row = await db
    .selectFrom('users')
    .select(['id', 'password_hash'])
    .where('status', '=', 'enabled')
    .where((eb) =>
      eb.or([
        eb(sql`lower(username)`, '=', identity.toLowerCase()),
        eb('email', '=', identity.toLowerCase()),
      ]),
    )
    .executeTakeFirst()
  return row && { id: row.id, passwordHash: row.password_hash }
}

/** The enabled user that has this e-mail address. */
export async function findByEmail(db: Db, email: string): Promise<User | undefined> {
  const row = await db
    .selectFrom('users')
    .selectAll()
    .where('email', '=', email)
    .where('status', '=', 'enabled')
    .executeTakeFirst()
  return row && toUser(row)
}

export async function findPasswordHash(db: Db, id: string): Promise<string | undefined> {
  const row = await db.selectFrom('users').select('password_hash').where('id', '=', id).executeTakeFirst()
  return row?.password_hash
}

/** Whether the user is there at all, deleted or not. */
export async function hasUser(db: Db, id: string): Promise<boolean> {
  const row = await db.selectFrom('users').select('id').where('id', '=', id).executeTakeFirst()
  return row !== undefined
}

/** Held until the transaction ends: who are superadmins is changed by one at a time. */
export async function lockSuperadmins(trx: Trx): Promise<void> {
  await sql`select pg_advisory_xact_lock(${SUPERADMIN_LOCK})`.execute(trx)
}

export async function hasSuperadmin(db: Db): Promise<boolean> {
  const row = await db
    .selectFrom('users')
    .select('id')
    .where('role', '=', 'admin')
    .where('status', '<>', 'deleted')
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** Whether a superadmin would be left who can sign in. */
export async function hasEnabledSuperadmin(db: Db): Promise<boolean> {
  const row = await db
    .selectFrom('users')
    .select('id')
    .where('role', '=', 'admin')
    .where('status', '=', 'enabled')
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}
