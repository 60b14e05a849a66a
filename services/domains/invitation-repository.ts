import { sql } from 'kysely'
import type { Expression, SqlBool } from 'kysely'
import type { Db, Trx } from '../../platform/db/connect.ts'
import type { Page } from '../../platform/db/listing.ts'
import type { Invitation, InvitationState } from './types.ts'

const COLUMNS = sql`
  i.domain_id as "domainId", d.name as "domainName", i.invitee_id as "inviteeId", i.invited_by as "invitedBy",
  i.role_id as "roleId", r.name as "roleName",
  array(select a.action from role_actions a where a.role_id = r.id order by a.action) as actions,
  i.created_at as "createdAt", i.updated_at as "updatedAt", i.confirmed_at as "confirmedAt", i.rejected_at as "rejectedAt"`

const FROM = sql`from invitations i join domains d on d.id = i.domain_id join roles r on r.id = i.role_id`

const isAnswered = sql<boolean>`(i.confirmed_at is not null or i.rejected_at is not null)`

/** Who did not answer in time was never invited, as far as anybody can tell. */
const IN_FORCE = sql<boolean>`(d.status <> 'deleted' and (${isAnswered} or i.expires_at > now()))`

const IN_STATE: Record<InvitationState, Expression<SqlBool>> = {
  pending: sql`(i.confirmed_at is null and i.rejected_at is null)`,
  accepted: sql`i.confirmed_at is not null`,
  rejected: sql`i.rejected_at is not null`,
}

export interface InsertInvitation {
  readonly domainId: string
  readonly inviteeId: string
  readonly invitedBy: string
  readonly roleId: string
  readonly expiresAt: Date
}

/**
 * Writes the invitation, in place of one that has expired, or of an answered one when that is wanted.
 *
 * @returns whether it could be; not when another one is in the way
 */
export async function upsertInvitation(
  trx: Trx,
  invitation: InsertInvitation,
  { replacesAnswered }: { readonly replacesAnswered: boolean },
): Promise<boolean> {
  const { numAffectedRows } = await sql`
    insert into invitations as i (domain_id, invitee_id, invited_by, role_id, expires_at)
    values (${invitation.domainId}, ${invitation.inviteeId}, ${invitation.invitedBy}, ${invitation.roleId},
      ${invitation.expiresAt})
    on conflict (domain_id, invitee_id) do update set invited_by = excluded.invited_by, role_id = excluded.role_id,
      expires_at = excluded.expires_at, updated_at = now(), confirmed_at = null, rejected_at = null
    where case when ${isAnswered} then ${replacesAnswered} else i.expires_at <= now() end`.execute(trx)
  return numAffectedRows === 1n
}

export async function findInvitation(
  db: Db,
  domainId: string,
  inviteeId: string,
): Promise<Invitation | undefined> {
  const { rows } = await sql<Invitation>`
    select ${COLUMNS} ${FROM} where i.domain_id = ${domainId} and i.invitee_id = ${inviteeId} and ${IN_FORCE}`.execute(
    db,
  )
  return rows[0]
}

export interface InvitationListing {
  readonly offset: number
  readonly limit: number
  readonly state: InvitationState | undefined
  readonly domainId: string | undefined
  readonly inviteeId: string | undefined
  readonly invitedBy: string | undefined
  readonly roleId: string | undefined
}

/** Newest first. */
export async function listInvitations(db: Db, listing: InvitationListing): Promise<Page<Invitation>> {
  const { state, domainId, inviteeId, invitedBy, roleId } = listing
  const conditions: Expression<SqlBool>[] = [IN_FORCE]
  if (state !== undefined) conditions.push(IN_STATE[state])
  if (domainId !== undefined) conditions.push(sql`i.domain_id = ${domainId}`)
  if (inviteeId !== undefined) conditions.push(sql`i.invitee_id = ${inviteeId}`)
  if (invitedBy !== undefined) conditions.push(sql`i.invited_by = ${invitedBy}`)
  if (roleId !== undefined) conditions.push(sql`i.role_id = ${roleId}`)
  const matching = sql`${FROM} where ${sql.join(conditions, sql` and `)}`
  const [counted, found] = await Promise.all([
    sql<{ total: number }>`select count(*) as total ${matching}`.execute(db),
    sql<Invitation>`select ${COLUMNS} ${matching}
      order by i.created_at desc, i.invitee_id, i.domain_id
      limit ${listing.limit} offset ${listing.offset}`.execute(db),
  ])
  return { total: counted.rows[0]?.total ?? 0, items: found.rows }
}

export async function answerInvitation(
  trx: Trx,
  domainId: string,
  inviteeId: string,
  answer: 'accepted' | 'rejected',
): Promise<void> {
  const now = new Date()
  await trx
    .updateTable('invitations')
    .set({ updated_at: now, ...(answer === 'accepted' ? { confirmed_at: now } : { rejected_at: now }) })
    .where('domain_id', '=', domainId)
    .where('invitee_id', '=', inviteeId)
    .execute()
}

/** @returns whether there was one */
export async function deleteInvitation(trx: Trx, domainId: string, inviteeId: string): Promise<boolean> {
  const { numDeletedRows } = await trx
    .deleteFrom('invitations')
    .where('domain_id', '=', domainId)
    .where('invitee_id', '=', inviteeId)
    .executeTakeFirst()
  return numDeletedRows === 1n
}

/** All of a domain. */
export async function deleteInvitations(trx: Trx, domainId: string): Promise<void> {
  await trx.deleteFrom('invitations').where('domain_id', '=', domainId).execute()
}
