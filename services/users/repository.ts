import { sql } from 'kysely'
import type { Selectable } from 'kysely'
import { violates } from '../../platform/db/connect.ts'
import type { Db, Trx } from '../../platform/db/connect.ts'
import type { UsersTable } from '../../platform/db/tables.ts'
import { EmailTaken, UsernameTaken } from './errors.ts'
import type { User } from './types.ts'

const FIRST_SUPERADMIN_LOCK = 7_401_003

export interface InsertUser extends Omit<
  User,
  'authProvider' | 'verifiedAt' | 'createdAt' | 'updatedAt' | 'updatedBy'
> {
  readonly passwordHash: string
}

function toUser(row: Selectable<UsersTable>): User {
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
    if (violates(error, 'users_username_key')) throw new UsernameTaken({ cause: error })
    if (violates(error, 'users_email_key')) throw new EmailTaken({ cause: error })
    throw error
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

/** Held until the transaction ends. */
export async function lockFirstSuperadmin(trx: Trx): Promise<void> {
  await sql`select pg_advisory_xact_lock(${FIRST_SUPERADMIN_LOCK})`.execute(trx)
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
