import { serveBackend } from '../adapters/authority-rpc.ts'
import type { AuthorityBackend } from '../adapters/authority.ts'
import { serveTraffic } from '../adapters/traffic-rpc.ts'
import type { TrafficSink } from '../adapters/traffic.ts'
import type { Bus } from '../platform/bus/connect.ts'
import type { Nodes } from '../platform/bus/nodes.ts'
import { eventSubject } from '../platform/bus/events.ts'
import type { BusEvent } from '../platform/bus/events.ts'
import { publishAndWait } from '../platform/bus/publisher.ts'
import type { Publisher } from '../platform/bus/publisher.ts'
import type { Db } from '../platform/db/connect.ts'
import type { Endpoint } from '../platform/http/endpoint.ts'
import type { Lifecycle } from '../platform/lifecycle.ts'
import type { Logger } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { keyEndpoints } from '../services/auth/key-routes.ts'
import { patEndpoints } from '../services/auth/pat-routes.ts'
import { roleEndpoints } from '../services/auth/role-routes.ts'
import { connectionEndpoints } from '../services/channels/connection-routes.ts'
import { channelEndpoints } from '../services/channels/routes.ts'
import { startSecretExpiry } from '../services/clients/expiry.ts'
import { startPresenceWatch } from '../services/clients/presence-watch.ts'
import { createPresence } from '../services/clients/presence.ts'
import { clientEndpoints } from '../services/clients/routes.ts'
import { invitationEndpoints } from '../services/domains/invitation-routes.ts'
import { domainEndpoints } from '../services/domains/routes.ts'
import { domainsOfUserEndpoints } from '../services/domains/user-routes.ts'
import { groupMemberEndpoints } from '../services/groups/member-routes.ts'
import { groupEndpoints } from '../services/groups/routes.ts'
import { groupTreeEndpoints } from '../services/groups/tree-routes.ts'
import { startRelay } from '../services/journal/relay.ts'
import { journalEndpoints } from '../services/journal/routes.ts'
import type { Entry } from '../services/journal/types.ts'
import { telemetryEndpoints } from '../services/messages/telemetry-routes.ts'
import { createTrafficSink } from '../services/messages/traffic.ts'
import { accountEndpoints } from '../services/users/account-routes.ts'
import { recoveryEndpoints } from '../services/users/recovery-routes.ts'
import { userEndpoints } from '../services/users/routes.ts'
import { tokenEndpoints } from '../services/users/token-routes.ts'
import { createAuthorityBackend } from './authority.ts'
import type { Services } from './services.ts'

export interface ManagementParts {
  readonly life: Lifecycle
  readonly log: Logger
  readonly metrics: Metrics
  readonly bus: Bus
  readonly publisher: Publisher
  readonly nodes: Nodes
  readonly db: Db
  readonly databaseUrl: string
  readonly services: Services
}

export interface Management {
  readonly backend: AuthorityBackend
  readonly trafficSink: TrafficSink
  readonly endpoints: readonly Endpoint[]
}

/** The role `api`: REST for administrators, answers for adapters in other processes, and the journal's way to the bus. */
export async function startManagement(parts: ManagementParts): Promise<Management> {
  const { life, log, metrics, bus, publisher, nodes, db, databaseUrl, services } = parts
  const backend = createAuthorityBackend(services)
  const served = serveBackend(bus, backend)
  life.onStop('authority service', () => served.stop())
  await served.ready
  const presence = createPresence({ db, bus })
  const trafficSink = createTrafficSink({ db, presence })
  const reports = serveTraffic(bus, trafficSink)
  life.onStop('traffic reports', () => reports.stop())
  await reports.ready
  const watch = startPresenceWatch({ presence, nodes, log })
  life.onStop('presence', () => watch.stop())
  const relay = startRelay({ db, databaseUrl, announce: (entry) => announce(publisher, entry), log })
  life.onStop('journal relay', () => relay.stop())
  metrics.gauge(
    'sluice_journal_relay_lag_seconds',
    'Age of the oldest change that this process has yet to announce',
    () => relay.lagS(),
  )
  const expiry = startSecretExpiry({ clients: services.clients, log })
  life.onStop('expiry of secrets', () => expiry.stop())
  return { backend, trafficSink, endpoints: managementEndpoints(services) }
}

function managementEndpoints(services: Services): Endpoint[] {
  const {
    accounts,
    attempts,
    channels,
    clients,
    domains,
    groups,
    invitations,
    pats,
    recovery,
    roles,
    tokens,
    users,
  } = services
  return [
    ...keyEndpoints(tokens),
    ...patEndpoints(pats),
    ...userEndpoints(users),
    ...accountEndpoints(accounts),
    ...recoveryEndpoints(recovery),
    ...tokenEndpoints({ tokens, attempts }),
    ...domainEndpoints(domains),
    ...domainsOfUserEndpoints(domains),
    ...invitationEndpoints({ domains, invitations }),
    ...roleEndpoints({ roles, resolveDomain: (reference) => domains.resolveId(reference) }),
    ...groupEndpoints({ groups, domains }),
    ...groupTreeEndpoints({ groups, domains }),
    ...groupMemberEndpoints({ members: services.groupMembers, assignments: services.assignments, domains }),
    ...clientEndpoints({ clients, domains }),
    ...channelEndpoints({ channels, domains }),
    ...connectionEndpoints({ channels, domains }),
    ...journalEndpoints(services.journalReader),
    ...telemetryEndpoints(services.telemetry),
  ]
}

/** One journal entry as an event on its stream. */
function announce(publisher: Publisher, entry: Entry): Promise<void> {
  const event: BusEvent = {
    id: entry.id,
    operation: entry.operation,
    domain_id: entry.domainId,
    entity_type: entry.entityType,
    entity_id: entry.entityId,
    actor_id: entry.actorId,
    occurred_at: entry.occurredAt.toISOString(),
    attributes: entry.attributes,
  }
  return publishAndWait(publisher, eventSubject(event), Buffer.from(JSON.stringify(event)))
}
