import type { Db } from '../../platform/db/connect.ts'
import type { Vault } from '../../platform/vault.ts'
import type { Journal } from '../journal/service.ts'
import { createPolicy } from './policy.ts'
import { createRoles } from './roles.ts'
import { createTokens } from './tokens.ts'
import type { TokenLifetimes } from './tokens.ts'

export { PresentedAccess, presentAccess } from './present.ts'
export type { Policy } from './policy.ts'
export type { RoleChanges } from './role-changes.ts'
export type { Roles } from './roles.ts'
export type { Tokens } from './tokens.ts'

/** Tokens and permissions: who is this, and may they do that. */
export async function createAuth(parts: {
  db: Db
  journal: Journal
  vault: Vault
  lifetimes: TokenLifetimes
}) {
  const policy = createPolicy(parts.db)
  return { policy, roles: createRoles({ ...parts, policy }), tokens: await createTokens(parts) }
}
