import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/** Invitations, and the indexes that lists of members and roles are read by. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table invitations (
      domain_id uuid not null references domains (id) on delete cascade,
      invitee_id uuid not null references users (id) on delete cascade,
      invited_by uuid not null,
      role_id text not null references roles (id) on delete cascade,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      expires_at timestamptz not null,
      confirmed_at timestamptz,
      rejected_at timestamptz,
      primary key (domain_id, invitee_id),
      constraint invitations_answered_once check (confirmed_at is null or rejected_at is null)
    );
    create index invitations_domain_id on invitations (domain_id, created_at desc, invitee_id);
    create index invitations_invitee_id on invitations (invitee_id, created_at desc, domain_id);
    create index invitations_role_id on invitations (role_id);

    create index role_members_entity on role_members (entity_type, entity_id, user_id);
    create index role_members_role_user on role_members (role_id, user_id);
    drop index role_members_role_id;

    create index domains_updated_at on domains (updated_at desc, id desc);
    create index domains_created_at on domains (created_at desc, id desc);
    create index domains_metadata on domains using gin (metadata jsonb_path_ops);
    create index domains_tags on domains using gin (tags);
  `.execute(db)
}
