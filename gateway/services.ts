import type { Db } from '../platform/db/connect.ts'
import type { Vault } from '../platform/vault.ts'
import { createAuth } from '../services/auth/service.ts'
import type { TokenLifetimes } from '../services/auth/tokens.ts'
import { createChannels } from '../services/channels/service.ts'
import { createClients } from '../services/clients/service.ts'
import { createInvitations } from '../services/domains/invitations.ts'
import { createDomains } from '../services/domains/service.ts'
import { createAssignments } from '../services/groups/assignments.ts'
import { createGroupMembers } from '../services/groups/members.ts'
import { createGroups } from '../services/groups/service.ts'
import { createJournal } from '../services/journal/service.ts'
import { createMessages } from '../services/messages/service.ts'
import type { ExportLimits } from '../services/messages/service.ts'
import { createUsers } from '../services/users/service.ts'
import type { SignupRules } from '../services/users/service.ts'

export type Services = Awaited<ReturnType<typeof createServices>>

export interface ServicesParts {
  readonly db: Db
  /** For what reads much. */
  readonly readDb: Db
  readonly vault: Vault
  readonly lifetimes: TokenLifetimes
  readonly signup: SignupRules
  readonly exports: ExportLimits
}

/** All services over one database, from left to right as their imports point. */
export async function createServices({ db, readDb, vault, lifetimes, signup, exports }: ServicesParts) {
  const journal = createJournal()
  const { policy, roles, tokens } = await createAuth({ db, journal, vault, lifetimes })
  const users = createUsers({ db, journal, tokens, signup })
  const domains = createDomains({ db, journal, policy, roles })
  const invitations = createInvitations({ db, journal, policy, roles })
  const groups = createGroups({ db, journal, policy })
  const groupMembers = createGroupMembers({ db, policy })
  const assignments = createAssignments({ policy, roles })
  const clients = createClients({ db, journal, policy, vault })
  const channels = createChannels({ db, journal, policy })
  const messages = createMessages({ db: readDb, exports, policy, domains, channels, clients })
  return {
    tokens,
    roles,
    users,
    domains,
    invitations,
    groups,
    groupMembers,
    assignments,
    clients,
    channels,
    messages,
  }
}
