import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import { MESSAGES_STREAM } from '../../platform/bus/streams.ts'
import type { Db } from '../../platform/db/connect.ts'

/** How far what is stored reaches, and what tells whether anything of a channel has changed. */
export interface ChannelState {
  readonly channelId: string
  /** What its samples and series call it; `null` when it never had any. */
  readonly no: number | null
  /** Readings stored of it. */
  readonly readings: number
  /** Sequence number in the stream up to which everything is stored. */
  readonly position: number
  /** The same as long as nothing is stored in the channel or removed from it. */
  readonly fingerprint: string
}

/** Three rows, however much is stored. */
export async function findChannelState(db: Db, channelId: string): Promise<ChannelState> {
  const { rows } = await sql<Omit<ChannelState, 'channelId'>>`
    select (select no from stored_channels where channel_id = ${channelId}) as no,
      coalesce((select seq from stream_positions where stream = ${MESSAGES_STREAM}), 0) as position,
      coalesce(state.readings, 0) as readings,
      coalesce(state.revision, 0)::text as fingerprint
    from (select ${channelId}::uuid as id) as channel
    left join channel_states as state on state.channel_id = channel.id`.execute(db)
  const [found] = rows
  // A left join of one row is always one.
  if (!found) throw new Error('the state of a channel is missing')
  return { channelId, ...found }
}

/**
 * Names the answer to a question about a channel in a state. Weak, since the position in the answer may move on while the
 * messages stay (RFC 9110 section 8.8.1).
 */
export function entityTag({ channelId, fingerprint }: ChannelState, question: string): string {
  const hash = createHash('sha256').update(`${channelId}\n${fingerprint}\n${question}`).digest('base64url')
  return `W/"${hash.slice(0, 27)}"`
}

/** Whether `If-None-Match` names the tag (RFC 9110 section 13.1.2). */
export function isMatched(header: string, tag: string): boolean {
  const tags = header.split(',').map((one) => one.trim())
  return header.trim() === '*' || tags.some((one) => one.replace(/^W\//, '') === tag.slice(2))
}
