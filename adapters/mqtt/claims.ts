import { NatsError } from 'nats'
import type { Msg } from 'nats'
import type { Bus } from '../../platform/bus/connect.ts'
import type { Nodes } from '../../platform/bus/nodes.ts'
import { isWrongRevision } from '../../platform/bus/records.ts'
import type { RecordAt } from '../../platform/bus/records.ts'
import { Conflict, Unavailable } from '../../platform/errors.ts'
import { decodeRecord, encodeRecord } from './session-record.ts'
import type { SessionRecord } from './session-record.ts'
import { NOT_WRITTEN, writtenOf } from './session-records.ts'
import type { SessionRecords, Written } from './session-records.ts'

/** A session that is ours now. */
export interface Claim {
  readonly record: SessionRecord
  readonly written: Written
}

export interface Claims {
  /**
   * Takes a session for this process: asks the one that has it to let go, and writes ourselves in. Of several that want it
   * at once the last one stays.
   *
   * @param make         the record to write, in place of the one found
   * @param how.isProbablyNew saves the look-up where there is likely nothing to find
   * @param how.isWanted      whether the connection is still there: one that is gone must not win against one that came later
   * @throws {Unavailable} the bus is away
   * @throws {Conflict} others want the session all the time
   * @throws {QuotaExceeded} there is no room for it
   */
  take(
    key: string,
    make: (previous: SessionRecord | undefined) => SessionRecord | Promise<SessionRecord>,
    how: { isProbablyNew: boolean; isWanted: () => boolean },
  ): Promise<Claim>
  stop(): void
}

const takeoverSubject = (node: string): string => `mqtt.takeover.${node}`

/** What the connection that had the session, or was about to have it, is told. */
export const TAKEN_OVER = 'another connection has taken the session'

const MAX_ATTEMPTS = 16
const TAKEOVER_MS = 5_000

/** @param letGo ends the connection that has the session here; resolves when what is to be kept of it is written */
export function createClaims(options: {
  bus: Bus
  nodes: Nodes
  records: SessionRecords
  letGo: (key: string) => Promise<void>
}): Claims {
  const { bus, nodes, records, letGo } = options

  const subscription = bus.connection.subscribe(takeoverSubject(nodes.id), {
    callback(error, msg) {
      if (!error) void handOver(msg)
    },
  })

  async function handOver(msg: Msg): Promise<void> {
    try {
      await letGo(msg.string())
      msg.respond()
    } catch (error) {
      bus.log.error({ err: error }, 'session could not be handed over')
    }
  }

  /** Whoever does not answer is gone, or will find when it writes next that it lost the session. */
  async function askToLetGo(node: string, key: string): Promise<void> {
    try {
      await bus.connection.request(takeoverSubject(node), key, { timeout: TAKEOVER_MS })
    } catch (error) {
      if (!(error instanceof NatsError)) throw error
      bus.log.debug({ err: error, node }, 'process with a session does not answer')
    }
  }

  function put(key: string, record: SessionRecord, replaced: Written): Promise<Written> {
    return new Promise((resolve, reject) => {
      records.put(key, encodeRecord(record), replaced, (error, written) =>
        error ? reject(error) : resolve(written),
      )
    })
  }

  async function find(key: string): Promise<RecordAt | undefined> {
    try {
      return await records.get(key)
    } catch (error) {
      throw new Unavailable('sessions cannot be looked up', { cause: error })
    }
  }

  return {
    async take(key, make, { isProbablyNew, isWanted }) {
      /** Asked once: the answer of a process that is stuck is not waited for again. */
      const asked = new Set<string>()
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
        const found = isProbablyNew && attempt === 0 ? undefined : await find(key)
        const previous = found && decodeRecord(found.value)
        if (previous && isElsewhere(previous, nodes.id) && !asked.has(previous.epoch)) {
          asked.add(previous.epoch)
          await askToLetGo(previous.node, key)
          continue
        }
        const record = await make(previous)
        if (!isWanted()) break
        try {
          return { record, written: await put(key, record, found ? writtenOf(found) : NOT_WRITTEN) }
        } catch (error) {
          if (!isWrongRevision(error)) throw error
        }
      }
      throw new Conflict('session_taken_over', TAKEN_OVER)
    },
    stop: () => subscription.unsubscribe(),
  }
}

/** Whether a connection of another process has the session. */
function isElsewhere({ node, endsAt }: SessionRecord, self: string): boolean {
  return node !== '' && node !== self && endsAt === 0
}
