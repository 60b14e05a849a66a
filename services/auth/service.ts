import type { Db } from '../../platform/db/connect.ts'
import type { Vault } from '../../platform/vault.ts'
import { createPolicy } from './policy.ts'
import { createTokens } from './tokens.ts'
import type { TokenLifetimes } from './tokens.ts'

export { grants } from './access.ts'
export { AVAILABLE_ACTIONS } from './actions.ts'
export { isClosestWay, isGranted } from './reach.ts'
export type { Policy } from './policy.ts'
export type { Tokens } from './tokens.ts'

/** Tokens and permissions: who is this, and may they do that. */
export async function createAuth(parts: { db: Db; vault: Vault; lifetimes: TokenLifetimes }) {
  return { policy: createPolicy(parts.db), tokens: await createTokens(parts) }
}
