import { once } from 'node:events'
import { escapeLiteral } from 'pg'
import type { Client, QueryResult } from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { JSON_COLUMNS } from './copy.ts'
import { SAMPLE_COLUMNS } from './encode.ts'
import { Outdated } from './outdated.ts'
import type { Prepared } from './prepare.ts'

const WRITER_LOCK = 7_401_004

/** How far into which stream the rows reach. A stream made anew counts from 1 again, so its making is part of its name. */
export interface Position {
  readonly stream: string
  /** RFC 3339, as the server says. */
  readonly createdAt: string
  /** How often it has lost its end. */
  readonly rewinds: number
  readonly seq: number
  /** When it took the message there; `undefined` where that is not known. */
  readonly takenNs: bigint | undefined
  /** What the writer knows of series holds until some are removed, which makes another generation. */
  readonly generation: number
}

/** Becomes the one writer, or says that there is another. Held by the connection until it ends. */
export async function tryLockWriter(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>('select pg_try_advisory_lock($1) as locked', [
    WRITER_LOCK,
  ])
  return rows[0]?.locked ?? false
}

/** Where to go on; the beginning for a stream that was never read, or was lost and made anew. */
export async function readPosition(client: Client, stream: string, createdAt: string): Promise<Position> {
  const { rows } = await client.query<{
    seq: number
    taken_ns: string | null
    rewinds: number
    generation: number
  }>(
    `insert into stream_positions as p (stream, created_at, seq) values ($1, $2, 0)
     on conflict (stream) do update set created_at = excluded.created_at,
       seq = case when p.created_at = excluded.created_at then p.seq else 0 end,
       taken_ns = case when p.created_at = excluded.created_at then p.taken_ns end
     returning seq, taken_ns::text, rewinds, series_generation as generation`,
    [stream, createdAt],
  )
  const [row] = rows
  if (!row) throw new Error('the position was not written')
  const { seq, taken_ns: taken, rewinds, generation } = row
  return { stream, createdAt, rewinds, seq, takenNs: taken === null ? undefined : BigInt(taken), generation }
}

/** Rows as COPY wants them, and what they add to the counts of days and of publishers. */
export type Rows = Pick<Prepared, 'samples' | 'json' | 'days' | 'arrivals'>

/**
 * Writes rows and the new position in one transaction: what is stored is exactly what lies behind the position, whatever
 * dies when.
 *
 * @param from the position that the rows follow on
 * @param to the position at the last of them
 * @param rows none when the messages up to there are not to be stored
 * @throws {Outdated} somebody else has stored them, or the series that they point to may be gone
 */
export async function store(client: Client, from: Position, to: Position, rows?: Rows): Promise<Position> {
  try {
    // Several statements in one go, each of which would be a round trip while a message waits. The position first of all, so
    // that a second writer waits here for the row instead of copying for nothing.
    const [, moved] = await script(
      client,
      `begin; update stream_positions set seq = ${to.seq}, taken_ns = ${to.takenNs ?? 'null'}, rewinds = ${to.rewinds}
         where stream = ${escapeLiteral(from.stream)} and created_at = ${escapeLiteral(from.createdAt)}
         and rewinds = ${from.rewinds} and seq = ${from.seq} and series_generation = ${from.generation}`,
    )
    if (moved?.rowCount !== 1) throw new Outdated('the position was moved, or series were removed')
    if (rows) {
      await copy(client, `copy samples (${SAMPLE_COLUMNS}) from stdin (format binary)`, rows.samples)
      await copy(client, `copy json_messages (${JSON_COLUMNS}) from stdin`, rows.json)
    }
    const last = [rows?.days.statement(), rows?.arrivals.statement(), 'commit']
    await script(client, last.filter((each) => each !== undefined).join('; '))
  } catch (error) {
    // Fails only when the connection is gone, and then the server rolls back by itself.
    await client.query('rollback').catch(() => undefined)
    throw error
  }
  return to
}

/** Statements without parameters, which alone may go together; one result each. */
async function script(client: Client, statements: string): Promise<QueryResult[]> {
  const result: unknown = await client.query(statements)
  return Array.isArray(result) ? (result as QueryResult[]) : [result as QueryResult]
}

async function copy(client: Client, statement: string, chunks: readonly (Buffer | string)[]): Promise<void> {
  if (chunks.length === 0) return
  const stream = client.query(copyFrom(statement))
  // Rejects as soon as the server refuses a row, also while we wait for the socket to drain.
  const finished = once(stream, 'finish')
  finished.catch(() => undefined)
  for (const chunk of chunks) {
    if (!stream.write(chunk)) await Promise.race([once(stream, 'drain'), finished])
  }
  stream.end()
  await finished
}
