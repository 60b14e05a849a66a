import type { Db } from '../../platform/db/connect.ts'
import type { Policy, Roles } from '../auth/service.ts'
import type { Journal } from '../journal/service.ts'

/** What the services of this folder stand on. */
export interface DomainsParts {
  readonly db: Db
  readonly journal: Journal
  readonly policy: Policy
  readonly roles: Roles
}

export interface DomainRules {
  /** Days that the platform keeps messages; 0 for ever. */
  readonly platformRetentionDays: number
}
