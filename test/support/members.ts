import { createClient } from '../../platform/db/connect.ts'
import type { TestGateway } from './gateway.ts'

/** Makes a user member of a domain in a role with these actions, as accepting an invitation does. */
export async function addMember(
  gateway: TestGateway,
  domainId: string,
  userId: string,
  actions: readonly string[] = ['read'],
): Promise<void> {
  const client = createClient(gateway.ground.databaseUrl, 'test')
  await client.connect()
  try {
    const roleId = `domain_${userId}`
    await client.query(
      `insert into roles (id, entity_type, entity_id, domain_id, name, created_by)
       values ($1, 'domain', $2, $2, $1, $3)`,
      [roleId, domainId, userId],
    )
    await client.query(
      'insert into role_actions (role_id, action) select $1, action from unnest($2::text[]) action',
      [roleId, actions],
    )
    await client.query(
      `insert into role_members (role_id, user_id, entity_type, entity_id, domain_id)
       values ($1, $2, 'domain', $3, $3)`,
      [roleId, userId, domainId],
    )
  } finally {
    await client.end()
  }
}
