import type { Attempts } from '../platform/attempts.ts'
import type { Background } from '../platform/background.ts'
import type { Db } from '../platform/db/connect.ts'
import type { Mailer } from '../platform/mail.ts'
import type { SecretBrake } from '../platform/secret-brake.ts'
import type { Vault } from '../platform/vault.ts'
import { createAuth } from '../services/auth/service.ts'
import type { AuthParts } from '../services/auth/service.ts'
import { createChannels } from '../services/channels/service.ts'
import { createClients } from '../services/clients/service.ts'
import { createInvitations } from '../services/domains/invitations.ts'
import type { DomainRules } from '../services/domains/parts.ts'
import { createDomains } from '../services/domains/service.ts'
import { createAssignments } from '../services/groups/assignments.ts'
import { createGroupMembers } from '../services/groups/members.ts'
import { createGroups } from '../services/groups/service.ts'
import { createJournalReader } from '../services/journal/reader.ts'
import { createJournal } from '../services/journal/service.ts'
import { createMessages } from '../services/messages/service.ts'
import type { ReadLimits } from '../services/messages/service.ts'
import type { ExportLimits } from '../services/messages/export.ts'
import type { UnreadLimits } from '../services/messages/unread.ts'
import { createTelemetry } from '../services/messages/telemetry.ts'
import { createAccounts } from '../services/users/accounts.ts'
import type { Links } from '../services/users/links.ts'
import { createRecovery } from '../services/users/recovery.ts'
import { createUsers } from '../services/users/service.ts'
import type { SignupRules } from '../services/users/service.ts'
import { createJournalAccess } from './journal-access.ts'

export type Services = Awaited<ReturnType<typeof createServices>>

export interface ServicesParts extends Omit<AuthParts, 'journal'>, DomainRules {
  readonly db: Db
  /** For reading stored messages alone: who reads much must not keep devices and people from the rest. */
  readonly storedDb: Db
  readonly vault: Vault
  readonly signup: SignupRules
  readonly exports: ExportLimits
  readonly unread: UnreadLimits
  readonly reads: ReadLimits
  readonly attempts: Attempts
  readonly secretBrake: SecretBrake
  readonly mailer: Mailer
  readonly background: Background
  readonly links: Links
}

/** All services, from left to right as their imports point. */
export async function createServices(parts: ServicesParts) {
  const { db, storedDb, vault, attempts, secretBrake, exports, unread, reads } = parts
  const journal = createJournal()
  const auth = await createAuth({ ...parts, journal })
  const { policy, roles, tokens, pats } = auth
  const users = createUsers({ ...parts, journal, policy, tokens })
  const accounts = createAccounts({ db, journal, policy, tokens, attempts })
  const recovery = createRecovery({ ...parts, ...auth, journal })
  const domains = createDomains({ ...parts, journal, policy, roles })
  const invitations = createInvitations({ db, journal, policy, roles })
  const journalReader = createJournalReader({ db, access: createJournalAccess({ policy, domains }) })
  const groups = createGroups({ db, journal, policy })
  const groupMembers = createGroupMembers({ db, policy })
  const assignments = createAssignments({ policy, roles })
  const clients = createClients({ db, journal, policy, vault })
  const channels = createChannels({ db, journal, policy })
  const telemetry = createTelemetry({ db, policy, domains, clients })
  const messages = createMessages({
    db: storedDb,
    exports,
    unread,
    reads,
    policy,
    domains,
    channels,
    clients,
    secretBrake,
  })
  return {
    auth,
    attempts,
    tokens,
    pats,
    roles,
    users,
    accounts,
    recovery,
    journalReader,
    domains,
    invitations,
    groups,
    groupMembers,
    assignments,
    clients,
    channels,
    messages,
    telemetry,
  }
}
