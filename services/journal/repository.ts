import { sql } from 'kysely'
import type { Expression, Selectable, SqlBool } from 'kysely'
import type { Db, Trx } from '../../platform/db/connect.ts'
import type { Page } from '../../platform/db/listing.ts'
import type { JournalTable } from '../../platform/db/tables.ts'
import type { Entry, EntryFilter, EntrySubject, NewEntry } from './types.ts'

const RELAY_LOCK = 7_401_002
/** Attributes that are larger stay in the journal; a batch of events must fit into memory, and one of them onto the bus. */
const MAX_ANNOUNCED_BYTES = 16_384
/** Channel of LISTEN and NOTIFY that wakes the relay. */
export const JOURNAL_CHANNEL = 'sluice_journal'

export async function insertEntries(
  trx: Trx,
  entries: readonly (NewEntry & { readonly id: string })[],
): Promise<void> {
  if (entries.length === 0) return
  await trx
    .insertInto('journal')
    .values(
      entries.map((entry) => ({
        id: entry.id,
        domain_id: entry.domainId,
        operation: entry.operation,
        entity_type: entry.entityType,
        entity_id: entry.entityId,
        actor_id: entry.actorId,
        attributes: JSON.stringify(entry.attributes ?? {}),
      })),
    )
    .execute()
  // Delivered at commit, and once however often a transaction says it.
  await sql`select pg_notify(${JOURNAL_CHANNEL}, '')`.execute(trx)
}

/** Whether this transaction is the one that relays; the others' turn comes when it ends. */
export async function tryLockRelay(trx: Trx): Promise<boolean> {
  const { rows } = await sql<{
    locked: boolean
  }>`select pg_try_advisory_xact_lock(${RELAY_LOCK}) as locked`.execute(trx)
  return rows[0]?.locked ?? false
}

/** @param after only entries behind this one */
export async function listUnannounced(trx: Trx, limit: number, after = 0): Promise<Entry[]> {
  const rows = await trx
    .selectFrom('journal')
    .select(['seq', 'id', 'operation', 'domain_id', 'entity_type', 'entity_id', 'actor_id', 'occurred_at'])
    // An event says that something changed, not all of what: listeners take missing facts to mean "whichever".
    .select(
      sql<Record<string, unknown>>`case when octet_length(attributes::text) <= ${MAX_ANNOUNCED_BYTES}
        then attributes else '{}' end`.as('attributes'),
    )
    .where('announced', '=', false)
    .where('seq', '>', after)
    .orderBy('seq')
    .limit(limit)
    .execute()
  return rows.map(toEntry)
}

const toEntry = (row: Omit<Selectable<JournalTable>, 'announced'>): Entry => ({
  seq: row.seq,
  id: row.id,
  operation: row.operation,
  domainId: row.domain_id,
  // Only insertEntries writes the column, and it takes nothing else.
  entityType: row.entity_type as Entry['entityType'],
  entityId: row.entity_id,
  actorId: row.actor_id,
  occurredAt: row.occurred_at,
  attributes: row.attributes,
})

/** Conditions that keep what is about the subject; with a user also what the user has done. */
function isAbout({ type, id, domainId }: EntrySubject): Expression<SqlBool>[] {
  const isEntity = sql<SqlBool>`journal.entity_type = ${type} and journal.entity_id = ${id}`
  const conditions = [type === 'user' ? sql<SqlBool>`((${isEntity}) or journal.actor_id = ${id})` : isEntity]
  if (domainId !== undefined) conditions.push(sql`journal.domain_id = ${domainId}`)
  return conditions
}

/** Whether there is anything about the subject. */
export async function hasEntries(db: Db, subject: EntrySubject): Promise<boolean> {
  const conditions = sql.join(isAbout(subject), sql` and `)
  const { rows } = await sql`select from journal where ${conditions} limit 1`.execute(db)
  return rows.length > 0
}

export async function listEntries(db: Db, subject: EntrySubject, filter: EntryFilter): Promise<Page<Entry>> {
  const conditions = isAbout(subject)
  if (filter.operation !== undefined) conditions.push(sql`journal.operation = ${filter.operation}`)
  if (filter.from !== undefined) conditions.push(sql`journal.occurred_at >= ${filter.from}`)
  if (filter.to !== undefined) conditions.push(sql`journal.occurred_at <= ${filter.to}`)
  const matching = sql`from journal where ${sql.join(conditions, sql` and `)}`
  const [counted, found] = await Promise.all([
    sql<{ total: number }>`select count(*) as total ${matching}`.execute(db),
    sql<Selectable<JournalTable>>`select journal.* ${matching} order by journal.seq ${sql.raw(filter.dir)}
      limit ${filter.limit} offset ${filter.offset}`.execute(db),
  ])
  return { total: counted.rows[0]?.total ?? 0, items: found.rows.map(toEntry) }
}

export async function markAnnounced(trx: Trx, seqs: readonly number[]): Promise<void> {
  if (seqs.length === 0) return
  await trx.updateTable('journal').set({ announced: true }).where('seq', 'in', seqs).execute()
}
