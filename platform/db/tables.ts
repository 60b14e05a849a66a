import type { ColumnType, Generated, GeneratedAlways } from 'kysely'
import type { ScopeType } from '../principal.ts'

/** Row types, kept by hand beside the migrations. JSON columns are written as text, because a bare array would become a Postgres array. */
export type Json = ColumnType<Record<string, unknown>, string | undefined, string>
type Time = ColumnType<Date, Date | undefined, Date>

export type EntityType = 'domain' | 'group' | 'client' | 'channel'
export type Status = 'enabled' | 'disabled' | 'deleted'

/** Columns that every administered entity has. */
export interface EntityColumns {
  id: string
  name: string
  tags: Generated<string[]>
  metadata: Json
  created_by: string
  created_at: Time
  updated_at: Time
  updated_by: string | null
}

export interface UsersTable {
  id: string
  username: string
  email: string
  first_name: string
  last_name: string
  password_hash: string
  role: Generated<'user' | 'admin'>
  status: Generated<Status>
  tags: Generated<string[]>
  metadata: Json
  private_metadata: Json
  profile_picture: Generated<string>
  auth_provider: Generated<string>
  verified_at: Date | null
  created_at: Time
  updated_at: Time
  updated_by: string | null
}

export interface DomainsTable extends EntityColumns {
  route: string
  status: Generated<Status | 'freezed'>
  /** `null`: as long as the platform keeps them. */
  message_retention_days: number | null
}

export interface GroupsTable extends EntityColumns {
  domain_id: string
  parent_id: string | null
  path: string[]
  description: Generated<string>
  status: Generated<Status>
}

export interface ClientsTable extends EntityColumns {
  domain_id: string
  parent_group_id: string | null
  identity: Generated<string>
  secret_hash: Buffer
  /** The secret before this one, which holds until then. */
  old_secret_hash: Buffer | null
  old_secret_expires_at: Date | null
  private_metadata: Json
  status: Generated<Status>
}

export interface ChannelsTable extends EntityColumns {
  domain_id: string
  parent_group_id: string | null
  description: Generated<string>
  route: string | null
  status: Generated<Status>
}

export interface ConnectionsTable {
  client_id: string
  channel_id: string
  type: 'publish' | 'subscribe'
}

export interface RolesTable {
  id: string
  entity_type: EntityType
  entity_id: string
  domain_id: string
  name: string
  built_in: Generated<boolean>
  created_by: string
  created_at: Time
  updated_at: Time
  updated_by: string | null
}

export interface RoleActionsTable {
  role_id: string
  action: string
}

export interface RoleMembersTable {
  role_id: string
  user_id: string
  entity_type: EntityType
  entity_id: string
  domain_id: string
  /** Whether the role holds `read`; kept by triggers. */
  reads: GeneratedAlways<boolean>
}

/** How many entities a domain has; the number is the sum over the slots, and is kept by triggers. */
export interface EntityCountsTable {
  domain_id: string
  entity_type: EntityType
  status: Status
  slot: GeneratedAlways<number>
  count: number
}

/** On how many entities a user holds a role that reads; the number is the sum over the slots, and is kept by triggers. */
export interface ReadingCountsTable {
  user_id: string
  entity_type: EntityType
  domain_id: string
  slot: GeneratedAlways<number>
  count: number
}

export interface InvitationsTable {
  domain_id: string
  invitee_id: string
  invited_by: string
  role_id: string
  created_at: Time
  updated_at: Time
  expires_at: Date
  confirmed_at: Date | null
  rejected_at: Date | null
}

export interface SessionsTable {
  id: string
  user_id: string
  description: Generated<string>
  created_at: Time
  revoked_at: Date | null
}

export interface RefreshTokensTable {
  hash: Buffer
  session_id: string
  expires_at: Date
  used_at: Date | null
}

export interface OneTimeTokensTable {
  hash: Buffer
  purpose: 'recovery' | 'verification'
  user_id: string
  email: string
  expires_at: Date
}

export interface PatsTable {
  id: string
  user_id: string
  name: string
  description: Generated<string>
  secret_hash: Buffer
  issued_at: Time
  expires_at: Date
  updated_at: Date | null
  last_used_at: Date | null
  revoked_at: Date | null
}

export interface PatScopesTable {
  seq: Generated<number>
  id: string
  pat_id: string
  entity_type: ScopeType
  domain_id: string | null
  entity_id: string
  operation: string
}

export interface SigningKeysTable {
  id: string
  public_jwk: Json
  private_jwk_sealed: Buffer
  created_at: Time
}

export interface JournalTable {
  seq: Generated<number>
  id: string
  domain_id: string | null
  operation: string
  entity_type: string
  entity_id: string
  actor_id: string | null
  occurred_at: Time
  attributes: Json
  announced: Generated<boolean>
}

export interface StoredChannelsTable {
  no: Generated<number>
  channel_id: string
  domain_id: string
  /** How many it has. */
  series: Generated<number>
}

export interface SeriesTable {
  id: Generated<number>
  key: string
  channel_no: number
  publisher: string | null
  subtopic: string
  protocol: string
  name: string
  unit: string | null
  /** Whether each of its samples is a number and nothing else. */
  is_plain: Generated<boolean>
}

/** `place` is left out: it goes beyond what a number of JavaScript holds, and is for SQL to order by. */
export interface SamplesTable {
  series_id: number
  channel_no: number
  time: number
  value: number | null
  bool_value: boolean | null
  string_value: string | null
  rest: Json | null
}

/** Samples, joined with what they point to. */
export interface ReadingsView {
  stream_seq: number
  record: number
  domain_id: string
  channel_id: string
  publisher: string | null
  subtopic: string
  protocol: string
  name: string
  unit: string | null
  time: number
  update_time: number | null
  value: number | null
  string_value: string | null
  bool_value: boolean | null
  data_value: string | null
  sum: number | null
}

export interface JsonMessagesTable {
  stream_seq: number
  record: number
  domain_id: string
  channel_id: string
  publisher: string | null
  subtopic: string
  protocol: string
  format: string
  created: number
  payload: Json
}

export interface StoredDaysTable {
  channel_id: string
  kind: string
  day: number
  stored: number
}

/** Kept by triggers on the days. */
export interface ChannelStatesTable {
  channel_id: string
  /** Rises with whatever is stored in the channel or removed from it. */
  revision: number
  readings: number
}

export interface ArrivalsTable {
  publisher: string
  messages: number
  first_at: Date
  last_at: Date
}

/** How far a stream was stored on a day, counted from the Unix epoch. */
export interface ArrivalMarksTable {
  day: number
  stream_created_at: Date
  seq: number
}

export interface StreamPositionsTable {
  stream: string
  created_at: ColumnType<Date, Date | string, Date | string>
  seq: number
  taken_ns: string | null
  rewinds: Generated<number>
  series_generation: Generated<number>
}

export interface EntitiesView {
  type: EntityType
  id: string
  domain_id: string
  parent_id: string | null
  above: string[]
  status: Status | 'freezed'
}

export interface Tables {
  users: UsersTable
  sessions: SessionsTable
  refresh_tokens: RefreshTokensTable
  one_time_tokens: OneTimeTokensTable
  pats: PatsTable
  pat_scopes: PatScopesTable
  signing_keys: SigningKeysTable
  domains: DomainsTable
  groups: GroupsTable
  clients: ClientsTable
  channels: ChannelsTable
  connections: ConnectionsTable
  roles: RolesTable
  role_actions: RoleActionsTable
  role_members: RoleMembersTable
  invitations: InvitationsTable
  journal: JournalTable
  stored_channels: StoredChannelsTable
  series: SeriesTable
  samples: SamplesTable
  readings: ReadingsView
  json_messages: JsonMessagesTable
  stored_days: StoredDaysTable
  channel_states: ChannelStatesTable
  arrival_marks: ArrivalMarksTable
  arrivals: ArrivalsTable
  stream_positions: StreamPositionsTable
  entities: EntitiesView
  entity_counts: EntityCountsTable
  reading_counts: ReadingCountsTable
}
