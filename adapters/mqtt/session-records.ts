import { StreamFull } from '../../platform/bus/publisher.ts'
import type { RecordAt, Records } from '../../platform/bus/records.ts'
import { QuotaExceeded, Unavailable } from '../../platform/errors.ts'
import { createSessionRoom } from './session-room.ts'

/** A record as it was written last, or was found. */
export interface Written {
  readonly revision: number
  readonly sizeBytes: number
}

export const NOT_WRITTEN: Written = { revision: 0, sizeBytes: 0 }

export function writtenOf({ value, revision }: RecordAt): Written {
  return { revision, sizeBytes: value.length }
}

/** The sessions on file, and how much of that stream each may take. */
export interface SessionRecords extends Pick<Records, 'get' | 'scan'> {
  /**
   * @param replaced what is there now; {@link NOT_WRITTEN} when nothing is
   * @param done     as of {@link Records.put}, and with {@link QuotaExceeded} when there is no room: `session_too_large`,
   *   `domain_sessions_full`, or `sessions_full` when the stream as a whole has none
   * @param how.isOwed written whatever the bounds say: what ends a session makes room in the end
   */
  put(
    key: string,
    value: Uint8Array,
    replaced: Written,
    done: (error: Error | undefined, written: Written) => void,
    how?: { isOwed: boolean },
  ): void
  remove(key: string, written: Written): Promise<void>
}

export interface SessionBounds {
  /** What a client may have its session grow to by what it asks for. What goes on in it may make that twice as much. */
  readonly maxSessionBytes: number
  /** What the sessions of one domain may take before it gets no new ones. Those that it has may grow to twice as much. */
  readonly maxDomainSessionBytes: number
}

/** What must go on where nothing new may begin any more has so many times the room. */
const GOING_ON_FACTOR = 2

export function createSessionRecords(records: Records, bounds: SessionBounds): SessionRecords {
  const { maxSessionBytes, maxDomainSessionBytes } = bounds
  const room = createSessionRoom({
    measure: (domainId) => records.measure(domainId),
    stepBytes: maxDomainSessionBytes / 16,
  })

  function write(
    key: string,
    value: Uint8Array,
    replaced: Written,
    done: (error: Error | undefined, written: Written) => void,
  ): void {
    const domainId = domainOf(key)
    const growth = { bytes: value.length - replaced.sizeBytes, records: replaced.revision === 0 ? 1 : 0 }
    room.add(domainId, growth)
    records.put(key, value, replaced.revision, (error, revision) => {
      if (!error) return done(undefined, { revision, sizeBytes: value.length })
      room.add(domainId, { bytes: -growth.bytes, records: -growth.records })
      if (!(error instanceof StreamFull)) return done(error, replaced)
      done(new QuotaExceeded('sessions_full', 'no room for sessions', { cause: error }), replaced)
    })
  }

  /** Others may have made room since it was known how much there is. */
  async function measuredRefusal(domainId: string, hasRoom: () => boolean): Promise<Error | undefined> {
    try {
      await room.measured(domainId)
    } catch (cause) {
      return new Unavailable('sessions cannot be measured', { cause })
    }
    if (hasRoom()) return undefined
    return new QuotaExceeded('domain_sessions_full', 'the domain has no room for more sessions')
  }

  return {
    get: (key) => records.get(key),
    scan: (onRecord, prefix) => records.scan(onRecord, prefix),
    put(key, value, replaced, done, { isOwed } = { isOwed: false }) {
      const growthBytes = value.length - replaced.sizeBytes
      if (isOwed || growthBytes <= 0) return write(key, value, replaced, done)
      if (value.length > maxSessionBytes * GOING_ON_FACTOR) {
        return done(new QuotaExceeded('session_too_large', 'the session is too large'), replaced)
      }
      const limitBytes = maxDomainSessionBytes * (replaced.revision === 0 ? 1 : GOING_ON_FACTOR)
      const hasRoom = (): boolean => room.heldBytes(domainOf(key)) + growthBytes <= limitBytes
      if (hasRoom()) return write(key, value, replaced, done)
      const writeOrRefuse = async (): Promise<void> => {
        const refusal = await measuredRefusal(domainOf(key), hasRoom)
        if (refusal) done(refusal, replaced)
        else write(key, value, replaced, done)
      }
      void writeOrRefuse()
    },
    async remove(key, { revision, sizeBytes }) {
      if (await records.remove(revision)) room.add(domainOf(key), { bytes: -sizeBytes, records: -1 })
    },
  }
}

/** @see recordKey */
const domainOf = (key: string): string => key.slice(0, key.indexOf('.'))
