import { sql } from 'kysely'
import type { Db, Trx } from '../../platform/db/connect.ts'
import { TARGET_BYTES, createPace, fetchBatches } from './batches.ts'
import { RateLimited } from '../../platform/errors.ts'
import type { ExportWriter } from './export-formats.ts'
import type { Answer } from './page.ts'
import { rowsOf } from './repository.ts'
import { explained } from './snapshot.ts'

/** For the first rows of an export that must be sorted, too. */
const STATEMENT_TIMEOUT_MS = 60_000
/** Postgres ends what waits for its reader later than we do, so that it is the reader who is blamed. */
const MARGIN_MS = 30_000

export interface ExportLimits {
  readonly maxRows: number
  readonly maxAtOnce: number
  /** Of one domain. */
  readonly maxDomainAtOnce: number
  /** A reader that takes nothing for so long is dropped. */
  readonly stallMs: number
}

/** What is exported, and for whom. */
export interface ExportWish {
  readonly domainId: string
  /** Rows that the caller wants at the most. */
  readonly limit: number | undefined
  readonly ask: (trx: Trx) => Promise<Answer<object>>
  readonly writer: ExportWriter
}

/** A document in pieces, the first one made already; who has begun must go to the end, or call `return` of the rest. */
export interface ExportedDocument {
  readonly first: Buffer
  readonly rest: AsyncGenerator<Buffer, undefined>
}

export function createExports(db: Db, limits: ExportLimits) {
  const running = new Map<string, number>()

  /** @throws {RateLimited} */
  function begin(domainId: string): () => void {
    const ofDomain = running.get(domainId) ?? 0
    const all = [...running.values()].reduce((sum, count) => sum + count, 0)
    if (all >= limits.maxAtOnce || ofDomain >= limits.maxDomainAtOnce)
      throw new RateLimited(5, { code: 'too_many_exports', message: 'too many exports at once' })
    running.set(domainId, ofDomain + 1)
    return () => {
      const count = running.get(domainId) ?? 1
      if (count > 1) running.set(domainId, count - 1)
      else running.delete(domainId)
    }
  }

  return {
    /**
     * All rows of a question, of one moment, written as they are asked for: Postgres keeps the place, so memory does not grow
     * with the export. When nobody asks any more, the query ends.
     *
     * @throws {RateLimited} @throws {QueryTimeout} @throws {Unavailable}
     */
    async open(wish: ExportWish): Promise<ExportedDocument> {
      const release = begin(wish.domainId)
      try {
        const rest = writeAll(db, wish, limits, release)
        // Here, while what goes wrong can still be told as an error.
        const { value: first = Buffer.alloc(0) } = await rest.next()
        return { first, rest }
      } catch (error) {
        throw explained(error)
      }
    },
  }
}

async function* writeAll(
  db: Db,
  wish: ExportWish,
  limits: ExportLimits,
  release: () => void,
): AsyncGenerator<Buffer, undefined> {
  const trx = await db
    .startTransaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute()
    .catch((error: unknown) => {
      release()
      throw error
    })
  try {
    await sql`select set_config('statement_timeout', ${String(STATEMENT_TIMEOUT_MS)}, true),
      set_config('idle_in_transaction_session_timeout', ${String(limits.stallMs + MARGIN_MS)}, true)`.execute(
      trx,
    )
    yield* writeRows(trx, wish, limits.maxRows)
    return undefined
  } finally {
    release()
    await trx.rollback().execute()
  }
}

async function* writeRows(trx: Trx, { ask, writer, limit = Infinity }: ExportWish, maxRows: number) {
  const { selection, present } = await ask(trx)
  let pieces = [Buffer.from(writer.begin())]
  let bytes = 0
  let count = 0
  if (selection) {
    const pace = createPace(selection)
    for await (const batch of fetchBatches(trx, selection.rows, pace)) {
      const wanted = rowsOf(selection, batch).slice(0, limit - count)
      count += wanted.length
      // Cut off, so that nobody takes a part for the whole.
      if (count > maxRows) throw new Error(`export ended at ${maxRows} rows`)
      let batchBytes = 0
      for (const row of await present(wanted)) {
        const piece = Buffer.from(writer.write(row))
        pieces.push(piece)
        bytes += piece.length
        batchBytes += piece.length
        if (bytes < TARGET_BYTES) continue
        yield Buffer.concat(pieces)
        pieces = []
        bytes = 0
      }
      pace.learn(batch.length, batchBytes)
      if (count >= limit) break
    }
  }
  yield Buffer.concat([...pieces, Buffer.from(writer.end())])
}
