import { randomBytes } from 'node:crypto'
import { withAdmin } from './postgres.ts'

export interface GivenRole {
  readonly user: string
  readonly type: 'domain' | 'group' | 'client' | 'channel'
  readonly entity: string
  readonly domain: string
  readonly actions: readonly string[]
  readonly name?: string
}

/** Gives a user a role, straight in the database: for tests that are about what a role does, not about giving it. */
export async function giveRole(databaseUrl: string, role: GivenRole): Promise<{ id: string }> {
  const { user, type, entity, domain, actions, name = `role ${randomBytes(4).toString('hex')}` } = role
  const id = `${type}_${randomBytes(15).toString('base64url')}`
  await withAdmin(databaseUrl, async (db) => {
    await db.query(
      `insert into roles (id, entity_type, entity_id, domain_id, name, created_by) values ($1, $2, $3, $4, $5, $6)`,
      [id, type, entity, domain, name, user],
    )
    await db.query(
      `insert into role_members (role_id, user_id, entity_type, entity_id, domain_id) values ($1, $2, $3, $4, $5)`,
      [id, user, type, entity, domain],
    )
    await db.query(`insert into role_actions (role_id, action) select $1, unnest($2::text[])`, [id, actions])
  })
  return { id }
}
